// SPDX-License-Identifier: Apache-2.0
package import Kernel
internal import Synchronization

/// Keeps runs away from an engine that does not work: after a failure that is the engine's own,
/// nobody asks it until a cooldown is over; then one may try.
package final class EngineCircuit: Sendable {
    /// What is known of the engine.
    package struct State: Sendable {
        /// Failures since it last worked.
        package var failures = 0
        /// Until then nobody asks; nil while it works.
        package var openUntil: Instant?
        /// What the last failure was.
        package var reason = ""

        package init() {}

        /// Takes note of a failure at `now`. Pure.
        mutating func failed(_ reason: String, at now: Instant) {
            failures += 1
            self.reason = reason
            let doublings = min(failures - 1, 6)
            openUntil = now.advanced(by: min(Self.longest, Self.first * (1 << doublings)))
        }

        private static let first = Duration.seconds(1)
        private static let longest = Duration.seconds(60)
    }

    private let known = Mutex(State())
    private let changed = Mutex<AsyncStream<State>.Continuation?>(nil)

    package init() {}

    /// Every failure, and the first success after one, for the one who listens; of several that he
    /// has not heard, the last.
    package func changes() -> AsyncStream<State> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: State.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        changed.withLock { $0 = continuation }
        return stream
    }

    package var state: State { known.withLock(\.self) }

    /// Why nobody should ask now; nil when one may.
    package func refusal(at now: Instant = .now) -> String? {
        let state = state
        guard let openUntil = state.openUntil, openUntil > now else { return nil }
        let seconds = (openUntil.milliseconds(since: now) / 1000).rounded(.up)
        return "\(state.reason) (asked again in \(Int(seconds)) s)"
    }

    /// The engine failed at what it is there for.
    package func failed(_ reason: String) {
        tell(
            known.withLock { state in
                state.failed(reason, at: .now)
                return state
            }
        )
    }

    /// The engine did what it was asked for.
    package func worked() {
        let before = known.withLock { state in
            defer { state = State() }
            return state
        }
        if before.failures > 0 { tell(State()) }
    }

    private func tell(_ state: State) {
        changed.withLock { _ = $0?.yield(state) }
    }

    /// What an earlier daemon knew.
    package func restore(_ state: State) {
        known.withLock { $0 = state }
    }
}
