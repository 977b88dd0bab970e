// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One line that the probe program printed.
struct ProbeLine: Decodable, Sendable, Hashable {
    enum Result: String, Decodable, Sendable {
        case blocked, succeeded
    }

    let probe: String
    let action: String
    let result: Result
    /// Or a signal's number, when `detail` says so; 0 for none.
    let errno: Int
    let detail: String

    /// The lines in `output`. What is no such line is left out: a flood, a forgery.
    static func lines(in output: [UInt8]) -> [ProbeLine] {
        output.split(separator: UInt8(ascii: "\n")).compactMap { line in
            // A probe's output may hold anything; what does not decode is no line.
            try? JSONDecoder().decode(ProbeLine.self, from: Data(line))
        }
    }
}

/// What became of a run, on the host or in a sandbox.
struct ProbeRun: Sendable {
    var verdict: ProbeVerdict
    var exitCode: Int?
    /// From the request to the result.
    var milliseconds: Int
    /// What proves the verdict, as the API prints it.
    var evidence = ""
    /// The probe's lines, from the stream that it reports on.
    var lines: [ProbeLine]
    /// What a sweep printed.
    var sweep: SyscallSweep?
    /// Paths below the results directory, as the API prints them.
    var artifacts: [String] = []
    /// Lower-case hex.
    var stdoutSHA256 = ""
    /// Lower-case hex.
    var stderrSHA256 = ""
    /// Whether it still ran when its control's patience was at an end.
    var outlived = false
}

/// What every system call answers, by number.
struct SyscallSweep: Sendable, Hashable {
    /// `ok`, `skip`, `hang`, an errno's name, or a signal's.
    let words: [Int: String]

    /// Reads lines of a number and a word. What is none is left out.
    init(text: String) {
        var words: [Int: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            if parts.count == 2, let number = Int(parts[0]) { words[number] = String(parts[1]) }
        }
        self.words = words
    }

    /// Where this sweep is not what `golden` says, in words.
    ///
    /// Refusals are compared word by word. A call that is let through may fail differently from
    /// kernel to kernel, so for it only being let through counts; and a call that `host`, a sweep
    /// outside of any sandbox, does not know cannot be let through.
    func differences(from golden: SyscallSweep, host: SyscallSweep?) -> [String] {
        Set(words.keys).union(golden.words.keys).sorted().compactMap { number in
            guard let mine = words[number] else { return "call \(number) was not made" }
            guard let wanted = golden.words[number] else {
                return "call \(number) answers \(mine), and the golden file does not have it"
            }
            let known = host?.words[number] != "ENOSYS"
            if !known, mine == "ENOSYS", !Self.isRefusal(wanted) { return nil }
            let alike = !Self.isRefusal(mine) && !Self.isRefusal(wanted)
            return alike || mine == wanted ? nil : "call \(number) answers \(mine), not \(wanted)"
        }
    }

    private static func isRefusal(_ word: String) -> Bool {
        word == "ENOSYS" || word == "EPERM" || word == "EAFNOSUPPORT" || word == "skip"
            || word == "hang" || word == "SIGSYS"
    }
}
