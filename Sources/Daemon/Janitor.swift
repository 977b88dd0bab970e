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
    private let lifeline: Descriptor

    /// Starts it for these directories and files.
    static func start(
        _ program: InitProgram,
        watching paths: [String],
        sharing lock: Descriptor
    ) throws(DaemonError) -> Janitor {
        do throws(Errno) {
            let (reading, writing) = try Descriptor.pipe()
            let process = try kernel {
                ArgumentVector.with(["sandboxd-init", "janitor"] + paths) {
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
