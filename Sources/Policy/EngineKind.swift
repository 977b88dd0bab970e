// SPDX-License-Identifier: Apache-2.0

/// What makes the container of an attempt.
package enum EngineKind: String, Sendable, Hashable, CaseIterable {
    /// Our own namespaces, seccomp and cgroups.
    case native
    /// The socket of a rootless Docker or Podman.
    case docker
}
