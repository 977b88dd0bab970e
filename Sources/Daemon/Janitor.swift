// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import Spawner
internal import SystemPackage

/// The small process that outlives a killed daemon and removes the names it left: cgroup
/// directories and the socket. It waits on a pipe that only the daemon holds open.
struct Janitor: Sendable {
    private let process: pid_t
    private var lifeline: Descriptor?

    /// Does its work now: removes what a daemon left whose janitor was killed too.
    static func clean(
        _ program: InitProgram,
        _ paths: [String],
        records: String,
        sharing lock: Descriptor
    ) throws(DaemonError) {
        var janitor = try start(program, watching: paths, records: records, sharing: lock)
        janitor.lifeline = nil
        waitpid(janitor.process, nil, 0)
    }

    /// Starts it for these directories and files; `records` is where the cgroups' counters go.
    static func start(
        _ program: InitProgram,
        watching paths: [String],
        records: String,
        sharing lock: Descriptor
    ) throws(DaemonError) -> Janitor {
        do throws(Errno) {
            let (reading, writing) = try Descriptor.pipe()
            let process = try kernel {
                ArgumentVector.with(["sandboxd-init", "janitor", "--records", records] + paths) {
                    clx_spawn(program.path, $0, reading.number, lock.number)
                }
            }
            return Janitor(process: process, lifeline: writing)
        } catch {
            throw .host(doing: "starting the janitor", error)
        }
    }

    /// Ends it: the daemon has removed everything by itself.
    func dismiss() {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }
}
