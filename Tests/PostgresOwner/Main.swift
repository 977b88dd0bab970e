// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import Postgres

/// A process to be killed: starts an embedded cluster, says so, and keeps it.
///
///     postgres-owner DIRECTORY SANDBOXD-INIT
///
/// It writes one line, `ready PID`, or why not; then it keeps the server running until the end of
/// its standard input, at which it stops it.
@main enum PostgresOwner {
    static func main() async throws {
        guard CommandLine.arguments.count == 3 else { exit(64) }
        let loop = try EventLoop()
        let cluster = EmbeddedCluster(
            .init(directory: CommandLine.arguments[1], initProgram: CommandLine.arguments[2]),
            on: loop
        )
        do throws(ClusterError) {
            _ = try await cluster.start()
        } catch {
            print("failed: \(error)")
            exit(1)
        }
        print("ready \(await cluster.pid ?? 0)")
        fflush(nil)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await cluster.run() }
            while readLine() != nil {}
            await cluster.stop()
        }
    }
}
