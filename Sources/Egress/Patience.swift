// SPDX-License-Identifier: Apache-2.0
package import NIOCore

/// How long the proxy waits for others before it gives them up.
package struct Patience: Sendable {
    /// For a client to say where it wants to go, however slowly it speaks.
    package var head = TimeAmount.seconds(15)
    /// For the addresses of a name.
    package var resolving = TimeAmount.seconds(10)
    /// For a server to answer a connection, at each of its addresses.
    package var connection = TimeAmount.seconds(15)
    /// For a server to prove who it is.
    package var handshake = TimeAmount.seconds(15)

    package init() {}
}

extension TimeAmount {
    /// For people.
    var seconds: Double { Double(nanoseconds) / 1_000_000_000 }
}
