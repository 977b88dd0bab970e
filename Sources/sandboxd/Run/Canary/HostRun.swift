// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The plain command, run beside this process instead of in its place, so that what it does can be
/// seen.
///
/// It has this process's environment, directory and streams; `HostOutput` says when there is a pipe
/// on the way of its standard output. Signals are handed on, and the ending is this process's own.
struct HostRun {
    /// How much of an output is hashed; more than any sandbox may write.
    private static let hashLimit = 64 << 20

    /// Why it did not begin: the status to end with.
    struct NotStarted: Error { let status: Int32 }

    private let pid: pid_t
    private let start: ContinuousClock.Instant
    private let ended: Descriptor
    private var relay: OutputRelay?
    private let file: OutputFile?

    /// Starts the last `argumentCount` arguments of this process.
    init(argumentCount: Int, output: HostOutput) throws(NotStarted) {
        let first = Int(CommandLine.argc) - argumentCount
        let arguments = CommandLine.unsafeArgv.advanced(by: first)
        start = .now
        do throws(Errno) {
            relay = output == .relayed ? try OutputRelay(hashing: Self.hashLimit) : nil
            file = output == .reread ? OutputFile() : nil
            let end = relay?.commandEnd?.number ?? -1
            let pid = try kernel { clx_start_beside(arguments, end) }
            relay?.handedOver()
            self.pid = pid
            ended = Descriptor(owning: try kernel { clx_pidfd_open(pid) })
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
        /// Why not all of its output was handed on: `brokenPipe` when its reader went.
        let outputFailure: Errno?

        var isSuccess: Bool { waitStatus == 0 }

        /// Ends this process in the same way.
        func repeatIt() -> Never {
            let signal = waitStatus & 0x7f
            if signal != 0 { clx_die_of(signal) }
            exit(signal == 0 ? waitStatus >> 8 & 0xff : 128 + signal)
        }
    }

    /// Hands its output on until it ends.
    mutating func wait() -> Ending {
        let ended = ended
        relay?.run(until: ended)
        var end = pollfd(fd: ended.number, events: Int16(POLLIN), revents: 0)
        while poll(&end, 1, -1) < 0, errno == EINTR {}
        clx_stand_alone()
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0, errno == EINTR {}
        let elapsed = start.duration(to: .now)
        let signal = status & 0x7f
        relay?.drain(waiting: signal == 0)
        var seen = Observation(
            wallMilliseconds: Double(elapsed.components.seconds) * 1000
                + Double(elapsed.components.attoseconds) / 1e15,
            memoryPeakBytes: Int(usage.ru_maxrss) << 10
        )
        seen.status = Int(signal == 0 ? status >> 8 & 0xff : 128 + signal)
        seen.output = relay.map(\.seen) ?? file?.written(hashing: Self.hashLimit)
        relay?.leaveRest()
        return Ending(waitStatus: status, seen: seen, outputFailure: relay?.failure)
    }
}
