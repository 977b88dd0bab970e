// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Kernel

@testable import DockerAPI

/// Clients of fake engines, and what they leave open.
enum Clients {
    /// The one loop of all these tests: its thread never ends.
    static let loop = Result { try EventLoop() }

    /// Runs `body` with a fake engine and a client of it, and ends both.
    static func withFake<Value>(
        _ script: @escaping FakeEngine.Script = FakeAnswers.working,
        _ body: (DockerClient, FakeEngine) async throws -> Value
    ) async throws -> Value {
        let engine = try FakeEngine(script)
        defer { engine.stop() }
        let client = try client(of: engine)
        do {
            let value = try await body(client, engine)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }

    /// A client that nobody closes.
    static func client(of engine: FakeEngine) throws -> DockerClient {
        DockerClient(try EngineAddress("unix://" + engine.path), on: try loop.get())
    }

    /// Returns when what was asked of the loop before is done.
    static func untilLoopIsIdle() async throws {
        let loop = try loop.get()
        await withCheckedContinuation { continuation in loop.post { continuation.resume() } }
    }

    /// The error of a call that must fail; nil when it did not.
    static func failure(
        _ body: () async throws(DockerError) -> some Sendable
    ) async -> DockerError? {
        do throws(DockerError) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    /// This process's descriptors that are connected to `engine`, whoever holds them.
    ///
    /// By the address of the other end, because other tests open and close all the time.
    static func descriptors(connectedTo engine: FakeEngine) -> Int {
        openDescriptors().count { peer(of: $0) == engine.path }
    }

    /// The numbers of all descriptors of this process.
    static func openDescriptors() -> [Int32] {
        guard let directory = opendir("/proc/self/fd") else { return [] }
        defer { closedir(directory) }
        var numbers: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int32(name) { numbers.append(number) }
        }
        return numbers
    }

    private static func peer(of number: Int32) -> String? {
        var address = sockaddr_un()
        var size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getpeername(number, $0, &size)
            }
        }
        guard result == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
        return withUnsafeBytes(of: address.sun_path) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

extension CallLimits {
    /// Short enough to wait for.
    static let brief = CallLimits(deadline: .milliseconds(300))
}
