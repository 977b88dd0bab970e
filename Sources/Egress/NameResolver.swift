// SPDX-License-Identifier: Apache-2.0
package import NIOCore
package import Policy

/// Finds the addresses of names, by the host's resolver.
package protocol NameResolver: Sendable {
    /// The addresses of `name`, on `eventLoop`; fails with `EgressRefusal`. Nobody waits for them
    /// beyond `deadline`.
    func addresses(
        of name: String,
        by deadline: NIODeadline,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]>
}
