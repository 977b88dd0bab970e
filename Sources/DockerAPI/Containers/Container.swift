// SPDX-License-Identifier: Apache-2.0
package import JSON

/// A container that was made.
package struct CreatedContainer: Sendable, Hashable {
    /// The engine's id, 64 digits.
    package let id: String
    /// What the engine did not like about it, such as a limit that it dropped.
    package let warnings: [String]
}

/// One container, as the engine sees it.
package struct Container: Sendable {
    /// The engine's id, 64 digits.
    package let id: String
    /// Without the slash that the engine writes before it.
    package let name: String
    /// The id of its image: `sha256:` and 64 digits.
    package let imageID: String
    package let state: ContainerState
    /// Its own labels and its image's.
    package let labels: [String: String]
    package let mounts: [ContainerMount]
    /// Which OCI runtime runs it. Podman calls each "oci".
    package let runtime: String?
    /// What was asked for and what the engine made of it, as it writes it; null without one.
    package let hostConfig: JSONValue
    /// Its command, user, environment and so on, as the engine writes it; null without one.
    package let config: JSONValue
}

/// Something of the host's that a container has.
package struct ContainerMount: Sendable, Hashable {
    /// "bind", "volume", "tmpfs".
    package let type: String
    /// Where it is on the host; empty for what has no place there.
    package let source: String
    /// Where it is in the container.
    package let destination: String
    package let isWritable: Bool
}

/// A container in a list.
package struct ContainerSummary: Sendable, Hashable {
    package let id: String
    /// Without the slash that the engine writes before each.
    package let names: [String]
    package let imageID: String
    package let labels: [String: String]
    package let status: ContainerStatus
}
