// SPDX-License-Identifier: Apache-2.0
internal import NIOConcurrencyHelpers
internal import Policy

/// What one attempt reached, tried to reach, and sent and received: the account of its proxy.
///
/// Bounded whatever the job does: after so many different lines, the rest is counted in one.
package final class EgressLedger: Sendable {
    /// What came of asking for one host and port.
    package struct Line: Sendable, Hashable {
        /// `host:port`; empty for what named none, and for what is counted together.
        package var place: String
        /// The rule that allowed it; nil for what was denied.
        package var rule: String?
        /// Why not, when it was not: the last time.
        package var reason: String?
        /// The kind of that reason.
        package var cause: String?
        /// How often it was asked for.
        package var count: Int
        /// Bytes from the job, and to it.
        package var sentBytes: UInt64
        package var receivedBytes: UInt64
    }

    private struct Key: Hashable {
        var place: String
        var isAllowed: Bool
    }

    private struct State {
        var lines: [Key: Line] = [:]
        var order: [Key] = []
        var bytes: UInt64 = 0
    }

    package static let linesMax = 256

    /// What the attempt may send and receive together.
    package let limitBytes: UInt64
    private let state = NIOLockedValueBox(State())

    package init(limitBytes: UInt64) {
        self.limitBytes = limitBytes
    }

    /// All lines, in the order in which they were first asked for.
    package var lines: [Line] {
        state.withLockedValue { state in state.order.compactMap { state.lines[$0] } }
    }

    /// Bytes sent and received so far.
    package var bytes: UInt64 { state.withLockedValue { $0.bytes } }

    /// Whether nothing may be sent or received any more.
    package var isExhausted: Bool { bytes >= limitBytes }

    func allowed(_ place: Authority, by rule: EgressRule) {
        note(Key(place: "\(place)", isAllowed: true), rule: "\(rule)", refusal: nil)
    }

    func refused(_ place: Authority?, _ refusal: EgressRefusal) {
        note(
            Key(place: place.map { "\($0)" } ?? "", isAllowed: false),
            rule: nil,
            refusal: refusal
        )
    }

    /// Counts bytes of an allowed connection; false when there are more than may be, and then a line
    /// says so.
    func count(_ place: Authority, sent: Int = 0, received: Int = 0) -> Bool {
        let (isAllowed, isFirst) = state.withLockedValue { state in
            let wasExhausted = state.bytes > limitBytes
            var key = Key(place: "\(place)", isAllowed: true)
            if state.lines[key] == nil { key.place = "" }
            state.lines[key]?.sentBytes += UInt64(sent)
            state.lines[key]?.receivedBytes += UInt64(received)
            state.bytes += UInt64(sent) + UInt64(received)
            return (state.bytes <= limitBytes, !wasExhausted)
        }
        if !isAllowed, isFirst { refused(place, .exhausted(limitBytes: limitBytes)) }
        return isAllowed
    }

    private func note(_ wanted: Key, rule: String?, refusal: EgressRefusal?) {
        state.withLockedValue { state in
            var key = wanted
            // Two places are kept for what does not fit.
            if state.lines[key] == nil, state.lines.count >= Self.linesMax - 2 { key.place = "" }
            if state.lines[key] == nil {
                state.order.append(key)
                state.lines[key] = Line(
                    place: key.place,
                    rule: key.place.isEmpty ? nil : rule,
                    reason: nil,
                    cause: nil,
                    count: 0,
                    sentBytes: 0,
                    receivedBytes: 0
                )
            }
            state.lines[key]?.count += 1
            state.lines[key]?.reason = refusal.map { "\($0)" }
            state.lines[key]?.cause = refusal?.cause
        }
    }
}
