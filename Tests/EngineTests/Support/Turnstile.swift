// SPDX-License-Identifier: Apache-2.0
import Testing

/// Lets many tests through side by side, or one alone.
///
/// Tests that look at the whole host (what is mounted, what is left, how fast) see only their own
/// doing that way. They have no time limit of the library's, which would count the wait in here;
/// instead whatever they wait for has one: `HTTPConnection`'s patience, `Program.ending(within:)`,
/// `Host.waits(upTo:)`.
actor Turnstile {
    static let shared = Turnstile()

    private enum Pass { case beside, alone }

    private var inside = 0
    private var isAlone = false
    private var waiting: [(Pass, CheckedContinuation<Void, Never>)] = []

    /// Runs `body` when no other test that is in here runs.
    nonisolated func alone(_ body: () async throws -> Void) async throws {
        await enter(.alone)
        do { try await body() } catch {
            await leave()
            throw error
        }
        await leave()
    }

    /// Runs `body` beside others, but beside none that is alone.
    nonisolated func beside(_ body: () async throws -> Void) async throws {
        await enter(.beside)
        do { try await body() } catch {
            await leave()
            throw error
        }
        await leave()
    }

    private func enter(_ pass: Pass) async {
        if waiting.isEmpty, admits(pass) {
            admit(pass)
        } else {
            // Whoever lets it in has counted it.
            await withCheckedContinuation { waiting.append((pass, $0)) }
        }
    }

    private func leave() {
        inside -= 1
        isAlone = false
        while let (pass, continuation) = waiting.first, admits(pass) {
            waiting.removeFirst()
            admit(pass)
            continuation.resume()
        }
    }

    private func admits(_ pass: Pass) -> Bool {
        pass == .alone ? inside == 0 : !isAlone && inside < Host.sideBySide
    }

    private func admit(_ pass: Pass) {
        inside += 1
        isAlone = pass == .alone
    }
}

/// Puts a suite's tests through the turnstile.
struct TurnstileTrait: TestTrait, SuiteTrait, TestScoping {
    let isAlone: Bool
    let isRecursive = true

    func scopeProvider(for test: Test, testCase: Test.Case?) -> TurnstileTrait? {
        // One pass a test case: not one for its suite and another inside it.
        testCase == nil ? nil : self
    }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        if isAlone {
            try await Turnstile.shared.alone(function)
        } else {
            try await Turnstile.shared.beside(function)
        }
    }
}

extension Trait where Self == TurnstileTrait {
    /// While a test of this suite runs, no other of these suites' does.
    static var alone: Self { TurnstileTrait(isAlone: true) }
    /// Tests of this suite run beside each other.
    static var beside: Self { TurnstileTrait(isAlone: false) }
}
