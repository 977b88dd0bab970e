// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import Postgres

/// What tests of an embedded cluster need around it.
enum Embedded {
    /// Where the test's programs are.
    static let programs: String = {
        if let build = getenv("SANDBOXD_BUILD") { return String(cString: build) }
        let own = (try? KernelFile.link("/proc/self/exe")) ?? ""
        return own.split(separator: "/").dropLast().reduce(into: "") { $0 += "/" + $1 }
    }()

    static var initProgram: String { programs + "/sandboxd-init" }
    static var hasPrograms: Bool {
        access(initProgram, X_OK) == 0 && access(programs + "/postgres-owner", X_OK) == 0
    }

    /// Runs `body` with a directory of its own, which is removed.
    static func withDirectory<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        var template = Array("/tmp/sandboxd-cluster.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { _ = try? TetheredProcess.output(of: ["/bin/rm", "-rf", "--", path]) }
        return try await body(path)
    }

    /// Runs `body` beside a cluster that supervises itself, and stops it.
    static func withCluster<Value: Sendable>(
        in directory: String,
        observed: @escaping @Sendable (EmbeddedCluster.Event) -> Void = { _ in },
        _ body: (EmbeddedCluster, ConnectionTarget) async throws -> Value
    ) async throws -> Value {
        let cluster = EmbeddedCluster(
            .init(directory: directory, initProgram: initProgram),
            on: try Database.loop.get(),
            observed: observed
        )
        let target = try await cluster.start()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await cluster.run() }
            do {
                let value = try await body(cluster, target)
                await cluster.stop()
                return value
            } catch {
                await cluster.stop()
                throw error
            }
        }
    }

    /// The processes that work in a cluster's directory.
    static func processes(in directory: String) -> [Int32] {
        DirectoryListing.names("/proc").compactMap(Int32.init).filter { pid in
            ((try? KernelFile.link("/proc/\(pid)/cwd")) ?? "").hasPrefix(directory)
        }
    }

    /// Waits, where the kernel has no event for it.
    static func waits(upTo seconds: Double, for condition: () -> Bool) -> Bool {
        let start = Instant.now
        while Instant.now.milliseconds(since: start) < seconds * 1000 {
            if condition() { return true }
            usleep(2_000)
        }
        return condition()
    }
}

/// A `postgres-owner`, to be killed.
final class Owner {
    let pid: pid_t
    private let input: Descriptor
    private let output: Descriptor

    init(_ directory: String) throws {
        let (childInput, ours) = try Descriptor.pipe()
        let (theirs, childOutput) = try Descriptor.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, childInput.number, 0)
        posix_spawn_file_actions_adddup2(&actions, childOutput.number, 1)
        let program = Embedded.programs + "/postgres-owner"
        var pid: pid_t = 0
        let error = ArgumentVector.with([program, directory, Embedded.initProgram]) {
            posix_spawn(&pid, program, &actions, nil, $0, environ)
        }
        guard error == 0 else { throw Errno(rawValue: error) }
        self.pid = pid
        input = ours
        output = theirs
    }

    /// What it says first. Blocks.
    func line() throws -> String {
        var text: [UInt8] = []
        var byte: [UInt8] = [0]
        while text.last != 0x0a, try byte.withUnsafeMutableBytes({ try output.read(into: $0) }) == 1
        {
            text += byte
        }
        return String(decoding: text.dropLast(), as: UTF8.self)
    }

    /// Ends it at once.
    func killNow() {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs the program that tethers, and one that owns a cluster.
    static var embedded: Self {
        .enabled(
            if: Embedded.hasPrograms,
            "sandboxd-init or postgres-owner is not beside the tests: run scripts/test"
        )
    }
}
