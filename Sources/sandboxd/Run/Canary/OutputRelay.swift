// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Hands what a command writes into a pipe on to this process's standard output, and hashes it.
///
/// The pipe keeps its writes apart (O_DIRECT), and each is handed on by itself: what the command
/// writes at once arrives at once, and lines that others write to the same place stay whole.
struct OutputRelay {
    private static let target: Int32 = 1
    /// The largest packet of such a pipe. A pipe or socket that is ready takes it without making
    /// anybody wait.
    private static let pieceBytes = sysconf(Int32(_SC_PAGESIZE))

    /// The end that the command writes to, until the command has it.
    private(set) var commandEnd: Descriptor?
    /// Why not all of it could be handed on: `brokenPipe` when nobody reads any more.
    private(set) var failure: Errno?
    private var source: Descriptor?
    /// Whether a target without a reader will never have one again: a pipe with a name may.
    private let isReaderLast: Bool
    /// How much may still be read.
    private var left = Int.max
    /// Read and not yet written.
    private var held: ArraySlice<UInt8> = []
    private var hash = SHA256()
    private let hashLimit: Int
    private var byteCount = 0
    private var hashed = 0

    /// Hashes no more than `limit` bytes.
    init(hashing limit: Int) throws(Errno) {
        var numbers: [Int32] = [-1, -1]
        _ = try kernel { clx_packet_pipe(&numbers) }
        let reading = Descriptor(owning: numbers[0])
        commandEnd = Descriptor(owning: numbers[1])
        try reading.setNonblocking()
        source = reading
        hashLimit = limit
        var (ours, theirs) = (stat(), stat())
        _ = try kernel { fstat(reading.number, &ours) }
        _ = try kernel { fstat(Self.target, &theirs) }
        isReaderLast = theirs.st_mode & S_IFMT == S_IFSOCK || theirs.st_dev == ours.st_dev
    }

    /// The command has its end now.
    mutating func handedOver() {
        commandEnd = nil
    }

    /// What went by; nil when some of what the command wrote is left to another process.
    var seen: Observation.Stream? {
        guard !isOpen || source == nil else { return nil }
        return Observation.Stream(
            bytes: byteCount,
            sha256: hashed == byteCount ? SHA256.hex(hash.finish()) : nil
        )
    }

    /// Hands on what comes until `ended` is readable, or nothing can come any more.
    mutating func run(until ended: Descriptor) {
        let end = pollfd(fd: ended.number, events: Int16(POLLIN), revents: 0)
        while isOpen {
            guard let polls = wait(for: polls + [end], -1), polls.last?.revents == 0 else { return }
            step(polls)
        }
    }

    /// Hands on what was in the pipe at this moment: something that is still running may write more
    /// for ever. Waits for who reads it, as the command would have, unless a signal ended that.
    mutating func drain(waiting isWaiting: Bool) {
        guard let source else { return }
        var count: Int32 = 0
        left = ioctl(source.number, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
        while isOpen {
            guard let polls = wait(for: polls, isHolding && isWaiting ? -1 : 0) else { return }
            step(polls)
        }
    }

    /// Something that the command left running may still write: a process that stays behind hands
    /// that on, for as long as somebody writes, and what is not handed on yet.
    func leaveRest() {
        guard let source, isHolding || Self.mayBringMore(source), clx_fork() == 0 else { return }
        // It holds nothing else of what the caller gave to this process, like a lock.
        dup2(source.number, 0)
        _ = clx_close_from(2)
        // It is nobody's to end; those who write are.
        for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
            signal(number, SIG_IGN)
        }
        var rest = self
        rest.continueFromInput()
        _exit(0)
    }

    private mutating func continueFromInput() {
        // Its number is closed, and may become another's: nobody may close it once more.
        if let source { _ = Unmanaged.passRetained(source) }
        source = Descriptor(owning: 0)
        (left, hashed) = (.max, .max)
        while isOpen, let polls = wait(for: polls, -1) { step(polls) }
    }

    private static func mayBringMore(_ source: Descriptor) -> Bool {
        var state = pollfd(fd: source.number, events: Int16(POLLIN), revents: 0)
        return poll(&state, 1, 0) <= 0 || state.revents & Int16(POLLIN) != 0
    }

    // MARK: Steps

    private var isHolding: Bool { !held.isEmpty }
    /// Whether something is to be read or written.
    private var isOpen: Bool { isHolding || source != nil && left > 0 }

    /// What it waits for: room where it writes; or something to read, and the end of who reads it.
    private var polls: [pollfd] {
        if isHolding { return [pollfd(fd: Self.target, events: Int16(POLLOUT), revents: 0)] }
        guard let source, left > 0 else { return [] }
        return [
            pollfd(fd: source.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isReaderLast ? Self.target : -1, events: 0, revents: 0),
        ]
    }

    /// The same with what is ready; nil when nothing is in time, or waiting is impossible.
    private mutating func wait(for polls: [pollfd], _ milliseconds: Int32) -> [pollfd]? {
        var polls = polls
        do throws(Errno) {
            let count = try kernel { poll(&polls, nfds_t(polls.count), milliseconds) }
            return count > 0 ? polls : nil
        } catch {
            giveUp(error)
            return nil
        }
    }

    /// Does what can be done now.
    private mutating func step(_ polls: [pollfd]) {
        if isHolding {
            if polls[0].revents != 0 { write() }
        } else if polls[1].revents != 0 {
            giveUp(.brokenPipe)
        } else if polls[0].revents != 0 {
            read()
        }
    }

    private mutating func read() {
        guard let source else { return }
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        let count = piece.withUnsafeMutableBytes {
            Glibc.read(source.number, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            self.source = nil
            return
        }
        held = piece[..<count]
        left -= min(left, count)
        byteCount += count
        if hashed <= hashLimit - count {
            hash.update(held)
            hashed += count
        }
    }

    private mutating func write() {
        let count = held.withUnsafeBytes { Glibc.write(Self.target, $0.baseAddress, $0.count) }
        if count >= 0 {
            held = held.dropFirst(count)
            return
        }
        let code = Errno(rawValue: errno)
        if code != .interrupted, code != .resourceTemporarilyUnavailable { giveUp(code) }
    }

    /// Reads no more. The command hears so with its next write, as it would have without us.
    private mutating func giveUp(_ code: Errno) {
        failure = code
        held = []
        source = nil
    }
}
