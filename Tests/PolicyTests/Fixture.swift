// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy

/// What the tests of this module start from.
enum Fixture {
    /// The shipped profiles.
    static let directory = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "profiles").path

    /// The names of the shipped profiles.
    static let profiles = ["browser", "code", "shell"]

    /// A profile that loads. `limits` starts in line 5, `pids` stands in line 8.
    static let yaml = """
        name: sample
        description: A profile for tests.
        image: code
        engine: [native, docker]
        limits:
          memory: 512MiB
          swap: 0
          pids: 128
          cpu: 1.5
          cpu_time: 60s
          wall_time: 2min
          workspace: 256MiB
          workspace_inodes: 16384
          shared_memory: 64MiB
          output: 1MiB
          output_total: 64MiB
          artifact_bytes: 64MiB
          artifact_count: 64
          open_files: 1024
          input_bytes: 32MiB
        network: none
        syscalls:
          base: code
          allow: []
        capabilities: []
        mounts: []
        environment: {}
        working_directory: /workspace
        warm: 0

        """

    /// The profile above with one piece of its text replaced.
    static func yaml(_ piece: String, _ replacement: String) -> String {
        precondition(yaml.contains(piece), "the fixture has no \"\(piece)\"")
        return yaml.replacingOccurrences(of: piece, with: replacement)
    }

    /// A shipped profile, resolved for one architecture whatever the host.
    static func policy(_ name: String, for architecture: Architecture = .x86_64) throws -> Policy {
        try Policy(
            resolving: Profile(file: "\(directory)/\(name).yaml"),
            lists: SyscallLists(directory: directory + "/syscalls"),
            architecture: architecture
        )
    }

    /// The sample profile with these additions to its system calls, resolved.
    static func policy(adding additions: String) throws -> Policy {
        try Policy(
            resolving: Profile(
                yaml: yaml("allow: []", "allow: [\(additions)]"),
                file: "sample.yaml"
            ),
            lists: SyscallLists(directory: directory + "/syscalls"),
            architecture: .x86_64
        )
    }

    /// Makes a directory with these files, runs `body` with its path, and removes it.
    static func withDirectory(
        _ files: [String: String],
        _ body: (String) throws -> Void
    ) throws {
        let root = FileManager.default.temporaryDirectory
            .appending(path: "policy-tests-\(UUID().uuidString)")
        // What is left of a directory of ours in /tmp hurts nobody.
        defer { try? FileManager.default.removeItem(at: root) }
        let syscalls = root.appending(path: "syscalls")
        try FileManager.default.createDirectory(at: syscalls, withIntermediateDirectories: true)
        for list in ["never", "code"] {
            try FileManager.default.copyItem(
                atPath: "\(directory)/syscalls/\(list).yaml",
                toPath: syscalls.appending(path: "\(list).yaml").path
            )
        }
        // A file called `syscalls/NAME.yaml` takes the place of a shipped list.
        for (name, text) in files {
            try text.write(to: root.appending(path: name), atomically: false, encoding: .utf8)
        }
        try body(root.path)
    }
}

/// What `body` throws, as a person reads it.
func refusal<Value>(_ body: () throws -> Value) -> String {
    do {
        _ = try body()
        return "nothing was refused"
    } catch {
        return "\(error)"
    }
}
