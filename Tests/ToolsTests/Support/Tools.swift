// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// The program under test.
enum Tools {
    /// How it ended.
    struct Ending {
        let status: Int32
        let output: String
        let errors: String

        /// All that it said.
        var text: String { output + errors }
    }

    /// Beside the tests, or where the scripts say that the programs are.
    private static let program: String = {
        if let build = getenv("SANDBOXD_BUILD") {
            return String(cString: build) + "/sandboxd-tools"
        }
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().path + "/sandboxd-tools"
    }()

    /// Runs it to its end, with nothing in its environment but what is named.
    static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Ending {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // What it says is short, and fits into the pipes.
        process.waitUntilExit()
        return Ending(
            status: process.terminationStatus,
            output: try text(output),
            errors: try text(errors)
        )
    }

    private static func text(_ pipe: Pipe) throws -> String {
        String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }
}
