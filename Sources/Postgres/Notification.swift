// SPDX-License-Identifier: Apache-2.0

/// What a NOTIFY brought to a connection that had said LISTEN.
package struct Notification: Sendable, Hashable {
    /// The channel's name.
    package let channel: String
    /// Up to 8000 bytes of text; empty when NOTIFY had none.
    package let payload: String
    /// The server's process that notified.
    package let backend: Int32

    /// Puts one together.
    package init(channel: String, payload: String, backend: Int32) {
        self.channel = channel
        self.payload = payload
        self.backend = backend
    }
}
