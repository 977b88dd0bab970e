// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The plain command, run beside this process instead of in its place, so that what it does can be
/// seen.
///
/// It has this process's environment, directory and streams. An output that is no terminal goes
/// through a pipe on its way, in pieces that are never waited for; one that is goes straight there and
/// is not seen. Signals are handed on, and the ending is this process's own.
struct HostRun {
    /// How much of an output is hashed; more than any sandbox may write.
    private static let hashLimit = 64 << 20

    /// Why it did not begin: the status to end with.
    struct NotStarted: Error { let status: Int32 }

    private let pid: pid_t
    private let start: ContinuousClock.Instant
    private var relays: [OutputRelay]
    private let ended: Descriptor

    /// Starts the last `argumentCount` arguments of this process.
    init(argumentCount: Int) throws(NotStarted) {
        let first = Int(CommandLine.argc) - argumentCount
        let arguments = CommandLine.unsafeArgv.advanced(by: first)
        start = .now
        do throws(Errno) {
            let output = try OutputRelay.pipe(to: 1)
            let errorOutput = try OutputRelay.pipe(to: 2)
            let pid = try kernel {
                clx_start_beside(arguments, output?.end.number ?? -1, errorOutput?.end.number ?? -1)
            }
            self.pid = pid
            ended = Descriptor(owning: try kernel { clx_pidfd_open(pid) })
            relays = [output?.relay, errorOutput?.relay].compactMap { $0 }
        } catch {
            let program = arguments.pointee.map { String(cString: $0) } ?? ""
            Terminal.say(
                "sandboxd: cannot run '\(Terminal.printable(program))' on this host: \(error)"
            )
            throw NotStarted(status: error == .noSuchFileOrDirectory ? 127 : 126)
        }
    }

    /// How the command ended: the wait status.
    struct Ending {
        let waitStatus: Int32
        let seen: Observation

        /// Ends this process in the same way.
        func repeatIt() -> Never {
            let signal = waitStatus & 0x7f
            if signal != 0 { clx_die_of(signal) }
            exit(signal == 0 ? waitStatus >> 8 & 0xff : 128 + signal)
        }
    }

    /// Hands its output on until it ends.
    mutating func wait() -> Ending {
        relay(untilEnded: true)
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0, errno == EINTR {}
        let elapsed = start.duration(to: .now)
        // What it wrote before it ended is in the pipes.
        relay(untilEnded: false)
        let kibibytes = Int(usage.ru_maxrss)
        var seen = Observation(
            wallMilliseconds: Double(elapsed.components.seconds) * 1000
                + Double(elapsed.components.attoseconds) / 1e15,
            memoryPeakBytes: kibibytes << 10
        )
        let signal = status & 0x7f
        seen.status = Int(signal == 0 ? status >> 8 & 0xff : 128 + signal)
        for relay in relays {
            if relay.target == 1 { seen.output = relay.seen } else { seen.errorOutput = relay.seen }
        }
        leaveRest()
        return Ending(waitStatus: status, seen: seen)
    }

    /// Moves output on: until the command has ended, or until there is no more for now.
    private mutating func relay(untilEnded: Bool) {
        while true {
            var polls = relays.flatMap { $0.polls }
            if untilEnded {
                polls.append(pollfd(fd: ended.number, events: Int16(POLLIN), revents: 0))
            }
            if polls.isEmpty { return }
            let count = poll(&polls, nfds_t(polls.count), untilEnded || isHolding ? -1 : 0)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            if untilEnded, polls[polls.count - 1].revents != 0 { return }
            for index in relays.indices { relays[index].step(polls, hashing: Self.hashLimit) }
        }
    }

    private var isHolding: Bool { relays.contains { $0.isHolding } }

    /// Something that the command left running may still write: a process that stays behind hands that
    /// on, as it would have been without us.
    private func leaveRest() {
        guard relays.contains(where: { $0.isOpen }) else { return }
        guard clx_fork() == 0 else { return }
        var rest = self
        while rest.relays.contains(where: { $0.isOpen || $0.isHolding }) {
            var polls = rest.relays.flatMap { $0.polls }
            if poll(&polls, nfds_t(polls.count), -1) < 0, errno != EINTR { break }
            for index in rest.relays.indices { rest.relays[index].step(polls, hashing: 0) }
        }
        _exit(0)
    }
}
