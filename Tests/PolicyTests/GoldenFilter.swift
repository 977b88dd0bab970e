// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Foundation
import Policy

/// What a filter answers to every call, as a file that a person can read and a reviewer can diff.
enum GoldenFilter {
    /// The numbers that are swept. The newest call of Linux 6.18 is 470.
    static let numbers: ClosedRange<UInt32> = 0...512

    /// Where the answers for a profile are kept.
    static func file(for name: String) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Golden/\(name).x86_64.txt")
    }

    /// Sweeps the filter: number, name, and the answers when all arguments are zero and when all
    /// their bits are set. Another ABI is one line, which says what all of its calls get.
    static func sweep(_ program: SeccompProgram, names: [UInt32: String]) -> String {
        var lines = ["# number, name, answer to arguments of zeros, answer to arguments of ones"]
        for number in numbers {
            let zeros = program.action(number)
            let ones = program.action(number, .max, .max, .max, .max, .max, .max)
            lines.append("\(number) \(names[number] ?? "-") \(zeros) \(ones)")
        }
        lines.append("x32 all \(answers(program, bit: 0x4000_0000, architecture: 0xc000_003e))")
        lines.append("i386 all \(answers(program, bit: 0, architecture: 0x4000_0003))")
        return lines.joined(separator: "\n") + "\n"
    }

    /// Every different answer that calls through another ABI get.
    private static func answers(
        _ program: SeccompProgram,
        bit: UInt32,
        architecture: UInt32
    ) -> String {
        let answers = Set(
            numbers.map { number in
                let call = SeccompCall(number: number | bit, architecture: architecture)
                return program.evaluate(call).description
            }
        )
        return answers.sorted().joined(separator: " ")
    }
}

extension SyscallPolicy {
    /// The names of the calls it has rules for, and of those that libseccomp knows besides.
    var names: [UInt32: String] {
        var names: [UInt32: String] = [:]
        for number in GoldenFilter.numbers {
            var buffer = [CChar](repeating: 0, count: 64)
            let length = sbx_syscall_name(
                architecture.rawValue,
                Int32(number),
                &buffer,
                buffer.count
            )
            guard length > 0 else { continue }
            names[number] = String(
                decoding: buffer[..<length].map(UInt8.init(bitPattern:)),
                as: UTF8.self
            )
        }
        for rule in rules { names[UInt32(rule.number)] = rule.name }
        return names
    }
}
