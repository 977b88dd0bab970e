// SPDX-License-Identifier: Apache-2.0
import CChannel
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import Spawner

extension Sandbox {
    /// Puts it to where init has been made and is heard.
    fileprivate func stage(_ engine: PuppetEngine) async throws {
        let cell = try await engine.cell()
        self.cell = cell
        if let control = cell.control { try link.connect(control) }
    }

    /// Puts it to where init has been made and cannot be heard.
    fileprivate func stageUnheard(_ engine: PuppetEngine) async throws {
        link.isLaunchPending = true
        cell = try await engine.begin(request) { [self] answer in
            assumeIsolated { $0.link.launched(answer) }
        }
    }

    /// Whether init's death is told within `limit`.
    fileprivate func tellsOfDeath(within limit: Duration) async -> Bool {
        link.setDeadline(after: limit)
        while true {
            switch await link.next() {
            case .exited: return true
            case .late: return false
            default: continue
            }
        }
    }

    /// Lets go of init, as a teardown does.
    fileprivate func unstage() { link.close() }

    /// How many signals of init's nobody has taken yet.
    fileprivate var waiting: Int { link.waiting }

    fileprivate func setDeadline(after duration: Duration) { link.setDeadline(after: duration) }

    /// The numbers of the next refusals that init tells of, and how many waited meanwhile at most.
    fileprivate func refusals(_ count: Int) async -> (numbers: [UInt64], mostWaiting: Int) {
        var numbers: [UInt64] = []
        var most = 0
        while numbers.count < count, case .message(.refused(_, let bytes, _)) = await link.next() {
            numbers.append(bytes)
            most = max(most, link.waiting)
        }
        return (numbers, most)
    }
}

/// What a sandbox makes of an init that lies, or that does not die.
@Suite("A sandbox and its init", .timeLimit(.minutes(5)))
struct SandboxTests {
    private static let ended = sbx_ended()
    private static let denied = sbx_denied()
    private static let refusal = sbx_refused(
        header: .init(),
        bytes: 0,
        reason: SBX_REFUSED_SYMLINK.rawValue,
        padding: 0
    )

    private func say(
        _ engine: PuppetEngine,
        _ type: sbx_message,
        _ message: some BitwiseCopyable,
        trailing: [UInt8] = []
    ) throws {
        try Channel.sendOnce(engine.end, type, message, trailing: trailing)
    }

    /// A sandbox whose init has been made and is heard, until `body` has returned.
    private func staged<Value>(
        witness: Witness = .none,
        _ body: (PuppetEngine, Sandbox) async throws -> Value
    ) async throws -> Value {
        let engine = try PuppetEngine()
        let sandbox = try PuppetRun.sandbox(engine, witness: witness)
        try await sandbox.stage(engine)
        do {
            let value = try await body(engine, sandbox)
            await sandbox.unstage()
            return value
        } catch {
            await sandbox.unstage()
            throw error
        }
    }

    /// The word for why `body` threw; nil when it did not.
    private func problem(_ body: () async throws -> Void) async -> String? {
        do { try await body() } catch { return (error as? SpawnError)?.step ?? "\(error)" }
        return nil
    }

    // MARK: Lies

    @Test(
        "a step that failed with what is no errno is a violation, and nothing worse",
        arguments: [-1, 0, 4096, .max, .min]
    )
    func impossibleError(error: Int32) async throws {
        let engine = try PuppetEngine()
        let failed = sbx_failed(header: .init(), step: Step.proc.rawValue, error: error)
        try say(engine, SBX_FAILED, failed)
        await engine.die(after: .milliseconds(10))
        let result = try await PuppetRun.sandbox(engine).run()
        #expect(result.verdict == .engineError)
        #expect(result.evidence.contains(Evidence("step", "violation")), "\(result.evidence)")
    }

    @Test("a step that failed comes with the kernel's own number")
    func possibleError() async throws {
        let engine = try PuppetEngine()
        let failed = sbx_failed(header: .init(), step: Step.proc.rawValue, error: 13)
        try say(engine, SBX_FAILED, failed)
        await engine.die(after: .milliseconds(10))
        let result = try await PuppetRun.sandbox(engine).run()
        #expect(result.evidence.contains(Evidence("step", "proc")), "\(result.evidence)")
        #expect(result.evidence.contains(Evidence("errno", 13)), "\(result.evidence)")
    }

    @Test("a refused call that nobody asked to be told of is a violation; one that was is taken")
    func unasked() async throws {
        for (witness, word) in [(Witness.none, "violation"), (.denied, nil)] {
            try await staged(witness: witness) { engine, sandbox in
                try say(engine, SBX_DENIED, Self.denied)
                try say(engine, SBX_ENDED, Self.ended)
                #expect(await problem { _ = try await sandbox.waitForEnd() } == word)
                #expect(await sandbox.result.calls.count == (word == nil ? 1 : 0))
            }
        }
    }

    // MARK: Before the gate

    @Test("whatever init says between READY and the gate ends the run, and nothing ran")
    func beforeTheGate() async throws {
        let failed = sbx_failed(header: .init(), step: Step.capabilities.rawValue, error: 1)
        let cases: [(String, @Sendable (PuppetEngine) throws -> Void)] = [
            ("violation", { try say($0, SBX_READY, sbx_signal()) }),
            ("violation", { try say($0, SBX_DENIED, Self.denied) }),
            ("violation", { try say($0, SBX_REFUSED, Self.refusal, trailing: [97]) }),
            ("violation", { try say($0, SBX_BYE, sbx_bye()) }),
            ("violation", { try say($0, SBX_GATE, sbx_signal()) }),
            // An honest one can fail here, and its job can be killed here.
            ("capabilities", { try say($0, SBX_FAILED, failed) }),
            ("lost", { try say($0, SBX_ENDED, Self.ended) }),
        ]
        for (word, speak) in cases {
            let found = try await staged { engine, sandbox in
                await problem {
                    try await sandbox.permit { _ in
                        try speak(engine)
                        _ = await holds { await sandbox.waiting > 0 }
                    }
                }
            }
            #expect(found == word)
        }
    }

    @Test("a silent init may wait for a permission longer than it may take to be made")
    func setupDeadline() async throws {
        try await staged { _, sandbox in
            await sandbox.setDeadline(after: .milliseconds(20))
            let found = await problem {
                try await sandbox.permit { _ in try await Task.sleep(for: .milliseconds(200)) }
            }
            #expect(found == nil)
            #expect(await sandbox.waiting == 0)
        }
    }

    @Test("a deadline that passed before another was set is told to nobody")
    func staleDeadline() async throws {
        try await staged { _, sandbox in
            await sandbox.setDeadline(after: .zero)
            #expect(await holds { await sandbox.waiting == 1 })
            await sandbox.setDeadline(after: .seconds(60))
            #expect(await sandbox.waiting == 0)
        }
    }

    // MARK: Floods

    @Test("of an init that talks while nobody listens little is heard, and later all of it")
    func flood() async throws {
        try await staged { engine, sandbox in
            let sent = try await talk(engine, atMost: 20_000)
            #expect(sent < 20_000, "it was heard without an end")
            #expect(await sandbox.waiting <= InitLink.signalsMax)
            let (numbers, most) = await sandbox.refusals(Int(sent))
            #expect(numbers == Array(0..<sent))
            #expect(most <= InitLink.signalsMax)
        }
    }

    /// Has init say numbered things until nobody hears it any more; answers how many. Not on the
    /// thread of who is to hear.
    @concurrent
    private func talk(_ engine: PuppetEngine, atMost limit: UInt64) async throws -> UInt64 {
        var refusal = Self.refusal
        while refusal.bytes < limit {
            do {
                try say(engine, SBX_REFUSED, refusal, trailing: [97])
                refusal.bytes += 1
            } catch Errno.resourceTemporarilyUnavailable {
                // Whoever reads makes room at once.
                var writable = pollfd(fd: engine.end.number, events: Int16(POLLOUT), revents: 0)
                if poll(&writable, 1, 300) == 0 { break }
            }
        }
        return refusal.bytes
    }

    // MARK: Death

    @Test("an init that dies of being killed gives its ids back")
    func lateDeath() async throws {
        let engine = try PuppetEngine()
        try say(engine, SBX_BYE, sbx_bye())
        let sandbox = try PuppetRun.sandbox(engine, death: .seconds(20))
        await engine.die(after: .milliseconds(300))
        let result = await sandbox.run()
        #expect(result.receipt.initDead)
        #expect(await engine.ended == ["cell"])
        #expect(await engine.abandoned.isEmpty)
    }

    @Test("the death of one that was never heard is told, too")
    func unheardDeath() async throws {
        let engine = try PuppetEngine()
        let sandbox = try PuppetRun.sandbox(engine)
        try await sandbox.stageUnheard(engine)
        await engine.die()
        #expect(await sandbox.tellsOfDeath(within: .seconds(20)))
        await sandbox.unstage()
    }

    @Test("one that does not die is its engine's, with its ids")
    func noDeath() async throws {
        let engine = try PuppetEngine()
        try say(engine, SBX_BYE, sbx_bye())
        let result = try await PuppetRun.sandbox(engine).run()
        #expect(!result.receipt.initDead)
        #expect(!result.receipt.isClean)
        #expect(await engine.ended.isEmpty)
        #expect(await engine.abandoned == ["cell"])
    }

    @Test("one in a container is dead when its engine has removed that", arguments: [true, false])
    func removedContainer(isRemoved: Bool) async throws {
        let engine = try PuppetEngine(.never, container: "c", left: isRemoved ? [] : ["it stays"])
        try say(engine, SBX_BYE, sbx_bye())
        let result = try await PuppetRun.sandbox(engine).run()
        #expect(result.receipt.containerRemoved == isRemoved)
        #expect(result.receipt.initDead == isRemoved)
        #expect(await engine.ended == ["cell"])
    }

    @Test("one of which the engine has not told yet is not dead", arguments: [true, false])
    func noAnswer(isMade: Bool) async throws {
        let engine = try PuppetEngine(.never)
        try say(engine, SBX_BYE, sbx_bye())
        let result = try await PuppetRun.sandbox(engine).run()
        #expect(!result.receipt.initDead)
        #expect(await engine.ended.isEmpty)
        #expect(await engine.abandoned.isEmpty)
        if isMade { await engine.tellOfProcess() } else { await engine.tellOfFailure() }
        #expect(await holds { await engine.abandoned + engine.ended == ["cell"] })
        #expect(await engine.abandoned.isEmpty == !isMade)
    }
}
