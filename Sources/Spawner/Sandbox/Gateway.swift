// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// The one way out of a sandbox that may reach something: it serves what connects to a listening
/// socket of the sandbox's own loopback.
package protocol Gateway: Sendable {
    /// The port of that loopback on which the job finds it.
    var port: UInt16 { get }

    /// Bytes sent and received so far.
    var bytes: UInt64 { get }

    /// Serves connections to `listener` until `close`. The descriptor stays the caller's.
    func open(on listener: Descriptor) async throws

    /// Ends every connection, and answers what came of them. Afterwards nothing of the sandbox's
    /// network is held. Also when it was never opened.
    func close() async -> [Reached]
}

/// One place that a job reached, or tried to.
package struct Reached: Sendable, Hashable {
    /// `host:port`; empty for what named none, and for many that are counted together.
    package var place: String
    /// The rule that let it through; nil for what was denied.
    package var rule: String?
    /// Why it was denied.
    package var reason: String?
    /// The kind of that reason, a word; nil for what was let through.
    package var cause: String?
    /// How often it was asked for.
    package var count: Int
    package var sentBytes: UInt64
    package var receivedBytes: UInt64

    package init(
        place: String,
        rule: String?,
        reason: String?,
        cause: String?,
        count: Int,
        sentBytes: UInt64,
        receivedBytes: UInt64
    ) {
        self.place = place
        self.rule = rule
        self.reason = reason
        self.cause = cause
        self.count = count
        self.sentBytes = sentBytes
        self.receivedBytes = receivedBytes
    }
}
