// SPDX-License-Identifier: Apache-2.0
package import Kernel

extension Worker {
    /// How to reach an attempt that is held.
    package struct Holder: Sendable {
        package var end: @Sendable (LeaseOrder.Why) -> Void
        /// What it has used so far; nil when that is not known now.
        package var usage: @Sendable () async -> Charge?
        /// Told how long the lease lasts now.
        package var keep: @Sendable (Instant) async -> Void

        package init(
            end: @escaping @Sendable (LeaseOrder.Why) -> Void,
            usage: @escaping @Sendable () async -> Charge?,
            keep: @escaping @Sendable (Instant) async -> Void
        ) {
            self.end = end
            self.usage = usage
            self.keep = keep
        }
    }

    /// Who this node is.
    package struct Identity: Sendable {
        /// The same at every start.
        package var node: String
        package var bootID: String
        package var version: String
        /// How long a heartbeat makes leases last.
        package var timeToLive: Duration

        package init(node: String, bootID: String, version: String, timeToLive: Duration) {
            self.node = node
            self.bootID = bootID
            self.version = version
            self.timeToLive = timeToLive
        }
    }
}
