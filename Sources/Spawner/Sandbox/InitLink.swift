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
        /// The engine's answer: init's pidfd.
        case launched(Result<Descriptor, SpawnError>)
        case message(InitMessage)
        /// The channel's end, by init's death or because init broke the protocol as said.
        case closed(violation: String?)
        /// init's death; told after everything that it had said.
        case exited
        /// The deadline that was set.
        case late
    }

    private let loop: EventLoop
    private var channel: Channel?
    private var process: Descriptor?
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?
    private var signals: [Signal] = []
    private var waiter: CheckedContinuation<Void, Never>?
    private var isClosed = false
    /// init's death, which is kept back until all that it had said is told: the kernel may report the
    /// one while much of the other is still to be read.
    private var isDeathUntold = false

    /// Whether the engine still owes its answer.
    var isLaunchPending = false
    /// Whether init is dead.
    private(set) var hasExited = false

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Whether there is a process that was taken over.
    var hasProcess: Bool { process != nil }

    // MARK: Making

    /// Listens on our end of the control channel.
    func connect(_ control: Descriptor) throws(Errno) {
        channel = try Channel(control, on: loop) { [unowned self] event in self.handle(event) }
    }

    /// The engine's answer has come.
    func launched(_ answer: Result<Descriptor, SpawnError>) {
        isLaunchPending = false
        tell(.launched(answer))
    }

    /// Takes over init's process: its death will be told.
    func adopt(_ process: Descriptor) throws(Errno) {
        self.process = process
        watch = try loop.watch(process, for: .readable) { [unowned self] in self.exited() }
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
            if !signals.isEmpty { return signals.removeFirst() }
            if isDeathUntold, isClosed {
                isDeathUntold = false
                return .exited
            }
            await withCheckedContinuation { waiter = $0 }
        }
    }

    /// Tells `.late` after `duration`, instead of at an earlier deadline.
    func setDeadline(after duration: Duration) {
        timer.map(loop.cancel)
        timer = loop.schedule(at: .now.advanced(by: duration)) { [unowned self] in
            self.tell(.late)
        }
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

    /// Lets go of everything: nothing more is told, and an init that still listens ends once the
    /// control descriptor is let go too.
    func close() {
        timer.map(loop.cancel)
        timer = nil
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
        wake()
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }
}
