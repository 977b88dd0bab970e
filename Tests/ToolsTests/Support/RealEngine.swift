// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An engine that scripts/with-engines started.
enum RealEngine: String, CaseIterable, Sendable {
    case docker = "SANDBOXD_TEST_DOCKER"
    case podman = "SANDBOXD_TEST_PODMAN"

    var socket: String? { ProcessInfo.processInfo.environment[rawValue] }

    static var present: [RealEngine] { allCases.filter { $0.socket != nil } }

    /// The size of the file system that holds all of it, in mebibytes; nil when it is the host's.
    static var mebibytes: Int? {
        ProcessInfo.processInfo.environment["SANDBOXD_ENGINE_MIB"].flatMap { Int($0) }
    }

    /// Asks the engine itself, in another process: other tests keep this one's threads busy.
    func answer(_ path: String, _ arguments: [String] = []) throws -> [UInt8] {
        let program = ["--silent", "--show-error", "--fail", "--max-time", "60"]
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/curl")
        process.arguments =
            program + ["--unix-socket", socket ?? ""] + arguments + ["http://engine" + path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let answer = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(path)")
        return Array(answer)
    }

    /// The ids of the images with a label.
    func images(_ label: String) throws -> [String] {
        let filter = #"filters={"label":["\#(label)"]}"#
        let bytes = try answer("/images/json", ["--get", "--data-urlencode", filter])
        let images = try JSONSerialization.jsonObject(with: Data(bytes)) as? [[String: Any]]
        return (images ?? []).compactMap { $0["Id"] as? String }
    }
}
