// SPDX-License-Identifier: Apache-2.0
internal import Spawner

/// Something that is there and belongs to nothing that lives, or the other way round.
package struct Leak: Sendable, Hashable, Comparable {
    package enum Kind: String, Sendable {
        /// A cgroup of no cell.
        case cgroup
        /// A mount inside of the state directory.
        case mount
        /// A container of this node's that serves no attempt.
        case container
        /// What a container was given, of no container.
        case directory
        /// A record of an attempt that this daemon does not have.
        case record
        /// A lease of this node's that nothing here runs.
        case lease
        /// An attempt that runs here without a lease.
        case attempt
        /// A lease of a worker that is over.
        case retired
        /// What could not be looked at: there may be something.
        case unknown
    }

    package var kind: Kind
    package var name: String

    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    /// Of an engine.
    init(_ stray: Stray) {
        switch stray.kind {
        case .container: self.init(.container, stray.name)
        case .directory: self.init(.directory, stray.name)
        }
    }

    package static func < (left: Leak, right: Leak) -> Bool {
        (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name)
    }
}
