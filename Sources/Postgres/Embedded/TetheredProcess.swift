// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import CPostgres
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A child that gets a signal when this process is gone, started by `sandboxd-init tether`.
///
/// It belongs to an actor of the event loop, whose thread must be the one that starts it: the
/// signal follows the end of that thread. Its end is an event of the loop, which reaps it then.
final class TetheredProcess {
    /// Its number, as long as it is not reaped.
    let pid: pid_t
    /// How it ended, in words; nil while it runs.
    private(set) var ended: Ending?

    /// How a process ended.
    enum Ending: Hashable {
        case exit(Int32)
        case signal(Int32)
    }

    private let loop: EventLoop
    private let descriptor: Descriptor
    private var watch: EventLoop.Watch?
    private var waiting: [CheckedContinuation<Ending, Never>] = []

    /// Starts `arguments[0]`, a path, with `log` as its standard output and error. `deathSignal` is
    /// what it gets when this process is gone.
    init(
        _ arguments: [String],
        deathSignal: Int32,
        by initProgram: String,
        log: Descriptor,
        on loop: EventLoop
    ) throws(Errno) {
        let words =
            ["sandboxd-init", "tether", String(deathSignal), String(getpid())] + arguments
        let pid = try kernel {
            ArgumentVector.with(words) { clx_spawn(initProgram, $0, log.number, -1) }
        }
        do throws(Errno) {
            descriptor = Descriptor(owning: try kernel { cpq_pidfd_open(pid) })
        } catch {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            throw error
        }
        self.pid = pid
        self.loop = loop
        do throws(Errno) {
            // The watch keeps it alive until it is reaped.
            watch = try loop.watch(descriptor, for: .readable) { self.reap() }
        } catch {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            throw error
        }
    }

    /// Waits for its end.
    func end(isolation: isolated (any Actor)? = #isolation) async -> Ending {
        if let ended { return ended }
        return await withCheckedContinuation { waiting.append($0) }
    }

    /// Sends a signal; one that has ended gets none.
    func signal(_ number: Int32) {
        if ended == nil { _ = clx_pidfd_kill(descriptor.number, number) }
    }

    private func reap() {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return }
        if let watch { loop.unwatch(watch) }
        watch = nil
        let signal = status & 0x7f
        let ending: Ending = signal == 0 ? .exit((status >> 8) & 0xff) : .signal(signal)
        ended = ending
        for continuation in waiting { continuation.resume(returning: ending) }
        waiting = []
    }

    /// Runs a program that is quick to its end, and answers what it wrote, up to 4 KiB.
    static func output(of arguments: [String]) throws(Errno) -> String {
        let output = try Descriptor.memory([], name: "output")
        _ = try kernel {
            ArgumentVector.with(arguments) { clx_run(arguments[0], $0, output.number) }
        }
        lseek(output.number, 0, SEEK_SET)
        return String(decoding: try output.readAll(limit: 4096), as: UTF8.self)
    }
}

extension TetheredProcess.Ending: CustomStringConvertible {
    var description: String {
        switch self {
        case .exit(let status): "status \(status)"
        case .signal(let number): "signal \(number)"
        }
    }
}
