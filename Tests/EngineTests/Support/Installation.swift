// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A copy of the built programs that the unprivileged user can read and execute, made once for all
/// tests of this process and gone with it.
struct Installation: Sendable {
    let directory: String

    /// The copy, made when first asked for.
    static let shared: Result<Installation, any Error> = Result { try Installation() }

    private init() throws {
        let build = try #require(Host.build)
        var template = Array("/tmp/sandboxd-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SocketError("making a directory in /tmp") }
        directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        Self.removedAtExit = strdup(directory)
        chmod(directory, 0o755)
        let files = FileManager.default
        for name in ["sandboxd", "sandboxd-daemon", "sandboxd-init"] {
            let source = URL(filePath: build).appending(path: name).resolvingSymlinksInPath()
            try files.copyItem(atPath: source.path, toPath: directory + "/" + name)
            chmod(directory + "/" + name, 0o755)
        }
        let profiles = directory + "/profiles"
        try files.copyItem(atPath: Host.sources + "/../../profiles", toPath: profiles)
        for path in [profiles] + (files.subpaths(atPath: profiles) ?? []).map({ profiles + "/" + $0 })
        {
            chmod(path, 0o755)
        }
        atexit { Installation.removeAtExit() }
    }

    // SAFETY: written once, before `atexit` is called; read once, when the process ends.
    nonisolated(unsafe) private static var removedAtExit: UnsafeMutablePointer<CChar>?

    private static func removeAtExit() {
        guard let path = removedAtExit else { return }
        // Nobody is left to tell; a directory that stays in /tmp harms nobody.
        try? FileManager.default.removeItem(atPath: String(cString: path))
    }

    /// The path of one of its programs.
    func program(_ name: String) -> String { directory + "/" + name }

    /// A new directory of the user's own. The path is short: sockets go there.
    func makeDirectory() throws -> String {
        var template = Array((directory + "/XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw SocketError("making a directory") }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        chmod(path, 0o755)
        if let user = Host.userID, let group = Host.groupID { chown(path, user, group) }
        return path
    }
}
