// SPDX-License-Identifier: Apache-2.0

/// What one call may take: time, and bytes of the engine's answer.
package struct CallLimits: Sendable, Hashable {
    /// From the call to its end, everything included.
    package var deadline: Duration
    /// The longest time in which nothing moves in either direction.
    package var silence: Duration
    /// Bytes of all header lines of an answer.
    package var headerBytes = 64 << 10
    /// Bytes of an answer's body.
    package var bodyBytes = 4 << 20
    /// Bytes of one line, of an answer that is delivered line by line.
    package var lineBytes = 64 << 10

    /// The usual numbers of bytes.
    package init(deadline: Duration, silence: Duration? = nil) {
        self.deadline = deadline
        self.silence = silence ?? deadline
    }
}

extension CallLimits {
    /// For what the engine only looks up.
    package static let question = CallLimits(deadline: .seconds(10))

    /// For what changes something: a container made, started, killed, removed.
    package static let change = CallLimits(deadline: .seconds(60))

    /// For images: gigabytes, and an engine that says nothing while it writes them down.
    package static let image: CallLimits = {
        var limits = CallLimits(deadline: .seconds(3600), silence: .seconds(600))
        limits.bodyBytes = 64 << 20
        return limits
    }()
}
