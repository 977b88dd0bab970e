// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Process 1 of a container, from our side (`container.c`): it connects, is looked at, and makes the
/// one sandbox of its container.
///
/// Belongs to the event loop's thread.
final class Stem {
    private let loop: EventLoop
    private var channel: Channel?
    private var answer: Launched?

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Waits for the container's connection until `deadline`; nil when there is none by then.
    static func connection(
        on directory: AttemptDirectory,
        until deadline: Instant,
        loop: EventLoop,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(Errno) -> Descriptor? {
        let waiting = ConnectionWait(directory.socket, on: loop)
        try waiting.begin(until: deadline)
        await waiting.end()
        do throws(Errno) {
            return Descriptor(
                owning: try kernel {
                    clx_channel_accept(directory.socket.number, Int32(SBX_MESSAGE_MAX))
                }
            )
        } catch .resourceTemporarilyUnavailable {
            return nil
        }
    }

    /// The process at the other end, by the kernel's word. Throws `EACCES` when it is another user's
    /// than this, or does not run `program`.
    static func process(
        of connection: Descriptor,
        running program: FileIdentity
    ) throws(Errno) -> Int32 {
        var peer = clx_peer()
        _ = try kernel { clx_peer_of(connection.number, &peer) }
        guard peer.uid == getuid(), try FileIdentity("/proc/\(peer.pid)/exe") == program else {
            throw .permissionDenied
        }
        return peer.pid
    }

    /// Asks for the sandbox. `launched` is called once.
    func launch(
        over connection: Descriptor,
        slot: SubordinateIDs.Slot,
        control: Descriptor,
        layers: Layers,
        _ launched: @escaping Launched
    ) throws(Errno) {
        let channel = try Channel(connection, on: loop) { [unowned self] in self.handle($0) }
        self.channel = channel
        answer = launched
        let message = sbx_launch(
            header: sbx_header(),
            tag: 1,
            init_id: slot.initID,
            job_id: slot.jobID,
            layers: layers.bits,
            into_cgroup: 0
        )
        try channel.send(SBX_LAUNCH, message, descriptors: [control])
    }

    /// Lets go of it. One that has made no sandbox ends.
    func close() {
        channel?.close()
        channel = nil
        tell(.failure(.lost(during: "launch")))
    }

    private func handle(_ event: Channel.Event) {
        switch event {
        case .closed(let violation):
            tell(.failure(violation.map(SpawnError.violation) ?? .lost(during: "launch")))
        case .packet(let packet):
            guard UInt32(packet.type) == SBX_LAUNCHED.rawValue,
                let launched = packet.exactly(sbx_launched.self)
            else {
                tell(.failure(.violation("message \(packet.type) from a container")))
                return
            }
            if launched.error == 0, let process = packet.descriptors.first {
                tell(.success(process))
            } else {
                tell(.failure(.reported(step: launched.step, error: launched.error)))
            }
        }
    }

    private func tell(_ result: Result<Descriptor, SpawnError>) {
        answer?(result)
        answer = nil
    }
}

/// Waits until a descriptor can be read or a moment has come, whichever is first.
private final class ConnectionWait {
    private let descriptor: Descriptor
    private let loop: EventLoop
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?
    private var waiter: CheckedContinuation<Void, Never>?
    private var isOver = false

    init(_ descriptor: Descriptor, on loop: EventLoop) {
        self.descriptor = descriptor
        self.loop = loop
    }

    func begin(until deadline: Instant) throws(Errno) {
        watch = try loop.watch(descriptor, for: .readable) { [unowned self] in self.over() }
        timer = loop.schedule(at: deadline) { [unowned self] in self.over() }
    }

    func end(isolation: isolated (any Actor)? = #isolation) async {
        guard !isOver else { return }
        await withCheckedContinuation { waiter = $0 }
    }

    private func over() {
        if let watch { loop.unwatch(watch) }
        if let timer { loop.cancel(timer) }
        watch = nil
        timer = nil
        isOver = true
        waiter?.resume()
        waiter = nil
    }
}
