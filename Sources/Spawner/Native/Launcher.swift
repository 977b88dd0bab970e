// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The fork server of one image, from our side: starts it, maps its ids, asks it for sandboxes.
///
/// It belongs to the event loop's thread, which is also the thread that starts the process: the
/// launcher dies with that thread.
final class Launcher {
    /// Where it stands.
    private enum State {
        case starting(CheckedContinuation<Void, any Error>)
        case serving
        case gone
    }

    /// Answers one LAUNCH: init's pidfd, or why there is none.
    typealias Answer = (Result<Descriptor, SpawnError>) -> Void

    private static let startLimit = Duration.seconds(10)
    /// How often, and how long in between, a launcher's death is looked for: a second in all.
    private static let deathLooks = 500
    private static let deathPauseMicroseconds: UInt32 = 2000

    private let image: RootImage
    private let ids: SubordinateIDs
    private let layers: UInt32
    private let loop: EventLoop
    private var channel: Channel?
    private var process: pid_t = -1
    private var state = State.gone
    private var answers: [UInt64: Answer] = [:]
    private var nextTag: UInt64 = 0
    private var deadline: EventLoop.Timer?

    init(image: RootImage, ids: SubordinateIDs, layers: UInt32, loop: EventLoop) {
        self.image = image
        self.ids = ids
        self.layers = layers
        self.loop = loop
    }

    /// Whether it can be asked for sandboxes.
    var isServing: Bool {
        if case .serving = state { true } else { false }
    }

    // MARK: Starting

    /// Starts the process and waits until its template stands.
    /// Nothing is left of it when this throws.
    func start(_ program: InitProgram, isolation: isolated (any Actor)? = #isolation) async throws {
        let (ours, theirs) = try Self.host("socketpair") { () throws(Errno) in try Channel.pair() }
        channel = try Self.host("epoll_ctl") { () throws(Errno) in
            try Channel(ours, on: loop) { [unowned self] event in self.handle(event) }
        }
        process = try Self.host("starting sandboxd-init") { () throws(Errno) in
            try Self.spawn(program, inherited: theirs, layers: layers)
        }
        try await withCheckedThrowingContinuation { continuation in
            state = .starting(continuation)
            deadline = loop.schedule(at: .now.advanced(by: Self.startLimit)) { [unowned self] in
                self.end(.silent(during: "the launcher's start"))
            }
        }
    }

    private static func spawn(
        _ program: InitProgram,
        inherited: Descriptor,
        layers: UInt32
    ) throws(Errno) -> pid_t {
        try kernel {
            ArgumentVector.with(["sandboxd-init", "launch", String(layers)]) {
                clx_spawn(program.path, $0, inherited.number, -1)
            }
        }
    }

    private static func host<Value>(
        _ doing: String,
        _ body: () throws(Errno) -> Value
    ) throws(SpawnError) -> Value {
        do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
    }

    /// newuidmap and newgidmap are privileged, and the only privileged code that takes part.
    private func mapIDs() throws(SpawnError) {
        try Self.map("newuidmap", process, own: getuid(), ids.users)
        try Self.map("newgidmap", process, own: getgid(), ids.groups)
        do throws(Errno) { try channel?.signal(SBX_MAPPED) } catch {
            throw .host(doing: "sending to the launcher", error)
        }
    }

    private static func map(
        _ helper: String,
        _ process: pid_t,
        own: UInt32,
        _ range: SubordinateIDs.Range
    ) throws(SpawnError) {
        let arguments = [
            helper, String(process), "0", String(own), "1", "1", String(range.start),
            String(range.count),
        ]
        let (status, output) = try HostProgram.run(arguments)
        guard status == 0 else {
            throw .helper(
                helper,
                output: output.isEmpty ? "exit status \(status)" : output
            )
        }
    }

    private func sendTemplate() throws(Errno) {
        let files = SyntheticProc.all
        var template = sbx_template()
        template.layers = layers
        template.synthetic_count = UInt32(files.count)
        withUnsafeMutableBytes(of: &template.root) {
            $0.copyBytes(from: image.rootfs.utf8.prefix(4095))
        }
        try channel?.send(SBX_TEMPLATE, template)
        for file in files {
            let message = PlanMessage.synthetic(file.name)
            try channel?.send(SBX_SYNTHETIC, message, trailing: file.content)
        }
    }

    // MARK: Serving

    /// Asks for one sandbox. `answer` is called once, on the loop's thread.
    func launch(
        slot: SubordinateIDs.Slot,
        control: Descriptor,
        birthplace: Descriptor?,
        _ answer: @escaping Answer
    ) {
        guard isServing, let channel else {
            answer(.failure(.lost(during: "launch")))
            return
        }
        nextTag += 1
        let message = sbx_launch(
            header: sbx_header(),
            tag: nextTag,
            init_id: slot.initID,
            job_id: slot.jobID,
            layers: layers,
            into_cgroup: birthplace == nil ? 0 : 1
        )
        answers[nextTag] = answer
        do throws(Errno) {
            try channel.send(
                SBX_LAUNCH,
                message,
                descriptors: [control] + (birthplace.map { [$0] } ?? [])
            )
        } catch {
            answers[nextTag] = nil
            answer(.failure(.host(doing: "asking the launcher", error)))
        }
    }

    private func handle(_ event: Channel.Event) {
        switch event {
        case .closed(let violation):
            end(violation.map(SpawnError.violation) ?? .lost(during: "the launcher's life"))
        case .packet(let packet):
            do throws(SpawnError) { try handle(packet) } catch { end(error) }
        }
    }

    private func handle(_ packet: Packet) throws(SpawnError) {
        switch UInt32(packet.type) {
        case SBX_MAP_ME.rawValue:
            try mapIDs()
            try Self.host("sending to the launcher") { () throws(Errno) in try sendTemplate() }
        case SBX_FAILED.rawValue:
            let failed = packet.exactly(sbx_failed.self) ?? sbx_failed()
            throw .reported(step: failed.step, error: failed.error)
        case SBX_TEMPLATE_READY.rawValue:
            guard let ready = packet.exactly(sbx_template_ready.self),
                case .starting(let waiting) = state
            else { throw .violation("TEMPLATE_READY out of turn") }
            guard ready.error == 0 else {
                throw .reported(step: ready.step, error: ready.error)
            }
            state = .serving
            deadline.map(loop.cancel)
            waiting.resume()
        case SBX_LAUNCHED.rawValue:
            try handleLaunched(packet)
        default:
            throw .violation("message \(packet.type) from the launcher")
        }
    }

    private func handleLaunched(_ packet: Packet) throws(SpawnError) {
        guard let launched = packet.exactly(sbx_launched.self),
            let answer = answers.removeValue(forKey: launched.tag)
        else { throw .violation("LAUNCHED that nobody waits for") }
        if launched.error == 0, let process = packet.descriptors.first {
            answer(.success(process))
        } else {
            answer(.failure(.reported(step: launched.step, error: launched.error)))
        }
    }

    // MARK: Ending

    /// Ends the process, and with it all its sandboxes.
    func stop() {
        end(.lost(during: "the daemon's stop"))
    }

    private func end(_ error: SpawnError) {
        let before = state
        state = .gone
        deadline.map(loop.cancel)
        channel?.close()
        channel = nil
        waitForDeath()
        let waiting = answers
        answers = [:]
        for answer in waiting.values { answer(.failure(error)) }
        if case .starting(let continuation) = before { continuation.resume(throwing: error) }
    }

    /// Without its channel the launcher ends by itself, and the outer process ends only when the
    /// whole PID namespace is dead: then nothing of any sandbox lives. One that does not is killed.
    private func waitForDeath() {
        guard process > 0 else { return }
        for _ in 0..<Self.deathLooks {
            if waitpid(process, nil, WNOHANG) != 0 {
                process = -1
                return
            }
            usleep(Self.deathPauseMicroseconds)
        }
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        process = -1
    }
}
