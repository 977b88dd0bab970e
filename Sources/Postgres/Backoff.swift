// SPDX-License-Identifier: Apache-2.0

/// Pauses that double, with jitter, so that many who lost the same server do not all come back at
/// one moment.
struct Backoff {
    private let shortest: Duration
    private let longest: Duration
    private var failures = 0

    init(from shortest: Duration, to longest: Duration) {
        self.shortest = shortest
        self.longest = longest
    }

    /// The next pause: between a half and the whole of a span that doubles at each failure.
    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        // 2^20 times the shortest is past any longest.
        let span = min(longest, shortest * (1 << min(failures, 20)))
        failures += 1
        return span * Double.random(in: 0.5...1, using: &random)
    }

    /// After a success the pauses are short again.
    mutating func reset() {
        failures = 0
    }
}
