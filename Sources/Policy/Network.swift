// SPDX-License-Identifier: Apache-2.0

/// What a job may reach over the network.
package enum Network: String, Sendable, Hashable {
    /// Its own loopback, and nothing else.
    case none
}
