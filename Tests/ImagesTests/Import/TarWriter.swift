// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Writes tar archives byte by byte, as nobody should too.
struct TarWriter {
    private(set) var bytes: [UInt8] = []

    init() {}

    /// Adds an entry with its header as it is asked for: `size` is what the header says, if it is to
    /// lie; `sizeField` its twelve bytes themselves; `name` the path, if it is no text.
    mutating func add(
        _ type: Character,
        _ path: String,
        link: String = "",
        content: [UInt8] = [],
        mode: Int = 0o644,
        size: Int? = nil,
        sizeField: [UInt8]? = nil,
        name: [UInt8]? = nil
    ) {
        let name = name ?? Array(path.utf8)
        let target = Array(link.utf8)
        if name.count > 100 { addLong("L", name) }
        if target.count > 100 { addLong("K", target) }
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: [UInt8], _ at: Int, _ limit: Int) {
            block.replaceSubrange(at..<(at + min(bytes.count, limit)), with: bytes.prefix(limit))
        }
        func octal(_ number: Int, _ digits: Int) -> [UInt8] {
            let text = String(number, radix: 8)
            return Array((String(repeating: "0", count: digits - text.count) + text).utf8)
        }
        put(name, 0, 100)
        put(octal(mode, 7), 100, 7)
        put(octal(0, 7), 108, 7)
        put(octal(0, 7), 116, 7)
        put(sizeField ?? octal(size ?? content.count, 11), 124, 12)
        put(octal(1_700_000_000, 11), 136, 11)
        put([type.asciiValue ?? 0], 156, 1)
        put(target, 157, 100)
        put(Array("ustar\0".utf8) + Array("00".utf8), 257, 8)
        put([UInt8](repeating: 0x20, count: 8), 148, 8)
        put(octal(block.reduce(0) { $0 + Int($1) }, 6) + [0, 0x20], 148, 8)
        bytes += block
        bytes += content
        fill()
    }

    /// Adds a pax header for the entry that comes next.
    mutating func addPax(_ records: [(String, String)], type: Character = "x") {
        let lines = records.map { key, value in
            let rest = " \(key)=\(value)\n"
            var length = rest.utf8.count + 1
            while "\(length)".utf8.count + rest.utf8.count != length { length += 1 }
            return "\(length)" + rest
        }
        add(type, "pax", content: Array(lines.joined().utf8))
    }

    mutating func file(_ path: String, _ text: String = "", mode: Int = 0o644) {
        add("0", path, content: Array(text.utf8), mode: mode)
    }

    mutating func directory(_ path: String) { add("5", path + "/", mode: 0o755) }

    mutating func link(_ path: String, _ target: String) { add("2", path, link: target) }

    /// The whole archive.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    /// Changes a byte, from the end when `offset` is negative.
    mutating func spoil(_ offset: Int) {
        let at = offset < 0 ? bytes.count + offset : offset
        bytes[at] ^= 0xff
    }

    private mutating func addLong(_ type: Character, _ text: [UInt8]) {
        add(type, "././@LongLink", content: text + [0])
    }

    private mutating func fill() {
        bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
    }
}

extension [UInt8] {
    /// What a program makes of them.
    func through(_ program: String, _ arguments: [String]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let data = Data(self)
        let writing = input.fileHandleForWriting
        let writer = Thread {
            // A program that wants no more has ended, and the test sees it.
            try? writing.write(contentsOf: data)
            try? writing.close()
        }
        writer.start()
        let result = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Array<UInt8>(result)
    }
}
