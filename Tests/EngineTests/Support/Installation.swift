// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A copy of the built programs that the unprivileged user can read and execute, made once for all
/// tests of this process and gone with it.
struct Installation: Sendable {
    let directory: String

    /// What the programs need in their environment.
    let environment: [String: String]

    /// The copy, made when first asked for.
    static let shared: Result<Installation, any Error> = Result { try Installation() }

    private init() throws {
        let build = try #require(Host.build)
        var template = Array("/tmp/sandboxd-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SocketError("making a directory in /tmp") }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)),
            as: UTF8.self
        )
        Self.removedAtExit = strdup(directory)
        chmod(directory, 0o755)
        let files = FileManager.default
        for name in ["sandboxd", "sandboxd-tools", "sandboxd-daemon", "sandboxd-init"] {
            // By another process: a child that a test starts meanwhile would hold the copy open for
            // writing, and nobody could execute it.
            let copy = ["install", "-m", "755", build + "/" + name, directory + "/" + name]
            try #require(try Program.run(copy).exitCode == 0, "\(copy)")
        }
        environment = try Self.copyLibraries(of: directory + "/sandboxd-daemon", to: directory)
        for place in [profiles, shippedProfiles] {
            try files.copyItem(atPath: Host.sources + "/../../profiles", toPath: place)
            if place == profiles { try Self.leaveEngineUnderTest(in: place) }
            for path in [place] + (files.subpaths(atPath: place) ?? []).map({ place + "/" + $0 }) {
                chmod(path, 0o755)
            }
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

    /// Takes every engine but the one under test out of the profiles of a directory.
    private static func leaveEngineUnderTest(in directory: String) throws {
        guard let engine = Host.engine else { return }
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name.hasSuffix(".yaml") {
            let path = directory + "/" + name
            let yaml = try String(contentsOfFile: path, encoding: .utf8)
            let both = "\nengine: [native, docker]\n"
            try #require(yaml.contains(both), "\(name) names other engines")
            try yaml.replacing(both, with: "\nengine: [\(engine)]\n")
                .write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    /// A debug build takes Swift's libraries from the toolchain, which may lie in somebody's home.
    private static func copyLibraries(
        of program: String,
        to directory: String
    ) throws -> [String: String] {
        var copied = false
        for line in try Program.run(["ldd", program]).text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard let arrow = words.firstIndex(of: "=>"), words.count > arrow + 1,
                words[arrow + 1].hasPrefix("/"),
                try Program.run(Program.asUser + ["test", "-r", words[arrow + 1]]).exitCode != 0
            else { continue }
            mkdir(directory + "/lib", 0o755)
            let name = words[0].trimmingCharacters(in: .whitespaces)
            let target = directory + "/lib/" + name
            try FileManager.default.copyItem(atPath: words[arrow + 1], toPath: target)
            chmod(target, 0o644)
            copied = true
        }
        return copied ? ["LD_LIBRARY_PATH": directory + "/lib"] : [:]
    }

    /// The profiles, which name the engine under test and no other: nothing goes to another unseen.
    var profiles: String { directory + "/profiles" }

    /// The profiles as they are shipped, which name both engines.
    var shippedProfiles: String { directory + "/shipped-profiles" }

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
