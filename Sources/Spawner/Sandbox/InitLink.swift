// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// init, from our side: what it says, whether it lives, and how it is ended.
///
/// Everything that can happen to it becomes a signal, told in the order in which it happened.
/// Belongs to the event loop's thread.
final class InitLink {
    /// What happened.
    enum Signal {
        /// The engine has made init's process.
        case launched
        /// It could not, or the process cannot be watched.
        case notLaunched(SpawnError)
        case message(InitMessage)
        /// The channel's end, by init's death or because init broke the protocol as said.
        case closed(violation: String?)
        /// init's death; told after everything that it had said.
        case exited
        /// The deadline that was set.
        case late
    }

    /// Signals that may wait to be taken. With more, nothing is heard of init until somebody has taken
    /// them: what it says, and the descriptors with it, waits in its own socket.
    static let signalsMax = 64

    private let loop: EventLoop
    private var channel: Channel?
    /// init's pidfd.
    private(set) var process: Descriptor?
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?
    private var signals: [Signal] = []
    private var waiter: CheckedContinuation<Void, Never>?
    private var isClosed = false
    /// init's death, which is kept back until all that it had said is told: the kernel may report the
    /// one while much of the other is still to be read.
    private var isDeathUntold = false

    /// Whether nobody listens here any more.
    private var isOver = false

    /// Whether the engine still owes its answer.
    var isLaunchPending = false
    /// Is called when that answer has come, also after `close`.
    var whenAnswered: (() -> Void)?
    /// Whether init is dead.
    private(set) var hasExited = false
    /// How many signals wait to be taken.
    var waiting: Int { signals.count }

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Whether init is dead, or was never made and never will be.
    var isGone: Bool { hasExited || (process == nil && !isLaunchPending) }

    // MARK: Making

    /// Listens on our end of the control channel.
    func connect(_ control: Descriptor) throws(Errno) {
        channel = try Channel(control, on: loop) { [unowned self] event in self.handle(event) }
    }

    /// The engine's answer has come. init's death will be told.
    func launched(_ answer: Result<Descriptor, SpawnError>) {
        isLaunchPending = false
        switch answer {
        case .success(let process):
            self.process = process
            tell(watchProcess(process))
        case .failure(let error): tell(.notLaunched(error))
        }
        whenAnswered?()
        whenAnswered = nil
    }

    private func watchProcess(_ process: Descriptor) -> Signal {
        if isOver {
            // It was made for nobody.
            kill()
            return .launched
        }
        do throws(Errno) {
            watch = try loop.watch(process, for: .readable) { [unowned self] in self.exited() }
        } catch {
            return .notLaunched(.host(doing: "epoll_ctl", error))
        }
        return .launched
    }

    // MARK: Talking

    /// Sends a message.
    func send<Message: BitwiseCopyable>(
        _ type: sbx_message,
        _ message: Message,
        trailing: [UInt8] = [],
        descriptors: [Descriptor] = []
    ) throws(Errno) {
        try channel?.send(type, message, trailing: trailing, descriptors: descriptors)
    }

    /// Sends a message that is nothing but its type.
    func signal(_ type: sbx_message) throws(Errno) {
        try channel?.signal(type)
    }

    /// The next thing that happened.
    func next() async -> Signal {
        while true {
            if let signal = nextIfAny() { return signal }
            await withCheckedContinuation { waiter = $0 }
        }
    }

    /// The same without waiting; nil when nothing has happened.
    func nextIfAny() -> Signal? {
        if signals.isEmpty { hearOn() }
        if !signals.isEmpty { return signals.removeFirst() }
        guard isDeathUntold, isClosed || channel == nil else { return nil }
        isDeathUntold = false
        return .exited
    }

    /// Tells `.late` after `duration`, and of no deadline that was set before.
    func setDeadline(after duration: Duration) {
        liftDeadline()
        timer = loop.schedule(at: .now.advanced(by: duration)) { [unowned self] in
            self.tell(.late)
        }
    }

    /// Tells of no deadline: not of one that has passed and was not taken, either.
    func liftDeadline() {
        timer.map(loop.cancel)
        timer = nil
        signals.removeAll { if case .late = $0 { true } else { false } }
    }

    // MARK: Ending

    /// Has init end the job, so that what it left still comes out.
    func askToEnd() {
        // A channel that does not take it is closed or stuck, which the wait for the end notices.
        try? channel?.signal(SBX_KILL)
    }

    /// Ends init, and with it everything in its PID namespace.
    func kill() {
        guard let process else { return }
        // It fails for a process that is dead already.
        _ = clx_pidfd_kill(process.number, SIGKILL)
    }

    /// Lets go of everything: nothing more is told, an init that still listens ends once the control
    /// descriptor is let go too, and one that is made later is killed.
    func close() {
        isOver = true
        liftDeadline()
        channel?.close()
        channel = nil
        if let watch { loop.unwatch(watch) }
        watch = nil
    }

    // MARK: Events

    private func handle(_ event: Channel.Event) {
        switch event {
        case .closed(let violation):
            isClosed = true
            tell(.closed(violation: violation))
        case .packet(let packet):
            if let message = InitMessage(packet) {
                tell(.message(message))
            } else {
                channel?.close()
                isClosed = true
                tell(.closed(violation: "message \(packet.type) does not decode"))
            }
        }
    }

    private func exited() {
        if let watch { loop.unwatch(watch) }
        watch = nil
        hasExited = true
        isDeathUntold = true
        wake()
    }

    private func tell(_ signal: Signal) {
        signals.append(signal)
        if signals.count >= Self.signalsMax { channel?.pause() }
        wake()
    }

    /// Everything was taken: there is room for more.
    private func hearOn() {
        do throws(Errno) { try channel?.resume() } catch {
            // The kernel has no room for the watch, so nothing more can come.
            channel?.close()
            isClosed = true
            signals.append(.closed(violation: nil))
        }
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }
}
