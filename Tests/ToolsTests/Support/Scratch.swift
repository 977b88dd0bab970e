// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A directory of a test's own, gone with the object.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "tools-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: false
        )
    }

    deinit {
        // A leftover in the temporary directory harms no other test.
        try? FileManager.default.removeItem(atPath: path)
    }

    @discardableResult
    func write(_ name: String, _ text: String, mode: Int = 0o644) throws -> String {
        try write(name, bytes: Array(text.utf8), mode: mode)
    }

    /// Writes a file and the directories to it, and answers where it is.
    @discardableResult
    func write(_ name: String, bytes: [UInt8], mode: Int = 0o644) throws -> String {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent,
            withIntermediateDirectories: true
        )
        try Data(bytes).write(to: URL(filePath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }

    /// A directory in it as an archive.
    func tar(_ name: String) throws -> [UInt8] {
        let file = path + "/" + name + ".tar"
        let process = try Process.run(
            URL(filePath: "/bin/tar"),
            arguments: ["--create", "--file", file, "--directory", path + "/" + name, "."]
        )
        process.waitUntilExit()
        return Array(try Data(contentsOf: URL(filePath: file)))
    }

    /// The names in a directory of it, in order; none when it is not there.
    func names(_ name: String) -> [String] {
        // A directory that is not there has none.
        ((try? FileManager.default.contentsOfDirectory(atPath: path + "/" + name)) ?? []).sorted()
    }
}
