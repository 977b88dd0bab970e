// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Testing

@Suite("A worker in another language", .database, .psycopg, .timeLimit(.minutes(10)))
struct PythonWorkerTests {
    private static let script =
        #filePath.split(separator: "/").dropLast()
        .reduce(into: "") { $0 += "/" + $1 } + "/worker.py"

    @Test("Python enqueues with its own rows, leases, beats, settles, and is fenced off")
    func worker() async throws {
        try await TaskDatabase.with { database in
            let (status, output) = try Python.run([Self.script, database.string])
            #expect(status == 0, "\(output)")
            #expect(output.hasSuffix("all is well\n"))
        }
    }
}

/// A Python with psycopg.
enum Python {
    /// Debian's is the one that Debian's packages are for.
    static let path: String? = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
        (try? run($0, ["-c", "import psycopg"]).status) == 0
    }

    /// Runs it; answers its exit status, and what it said on both channels.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        try run(try #require(path), arguments)
    }

    private static func run(
        _ path: String,
        _ arguments: [String]
    ) throws -> (status: Int32, output: String) {
        let (pid, reading) = try start([path] + arguments)
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try reading.read(into: $0) }
            guard count > 0 else { break }
            output += buffer[..<count]
        }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return (status, String(decoding: output, as: UTF8.self))
    }

    private static func start(_ command: [String]) throws -> (pid: pid_t, output: Descriptor) {
        let (reading, writing) = try Descriptor.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, writing.number, 1)
        posix_spawn_file_actions_adddup2(&actions, writing.number, 2)
        var pid: pid_t = 0
        let error = withExtendedLifetime(writing) {
            ArgumentVector.with(command) {
                posix_spawn(&pid, command[0], &actions, nil, $0, environ)
            }
        }
        try #require(error == 0, "\(command)")
        return (pid, reading)
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs Python's driver for PostgreSQL.
    static var psycopg: Self {
        .enabled(if: Python.path != nil, "no Python has psycopg: install 'python3-psycopg'")
    }
}
