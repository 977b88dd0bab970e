// SPDX-License-Identifier: Apache-2.0

/// What containers are called in requests: names, which we choose, and ids, which the engine does.
enum ContainerName {
    /// Docker has no limit of its own; this is twice an id.
    private static let limit = 128

    /// Throws for what is neither a name nor an id: Docker's rule, `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    static func check(_ name: String, _ call: DockerError.Call) throws(DockerError) {
        guard isValid(name) else {
            throw DockerError(
                call,
                .invalid(
                    """
                    '\(Visible.text(name, limit: 200))' is no name of a container: it begins with \
                    a letter or digit, and goes on with these, '_', '.' and '-', \(limit) at most
                    """
                )
            )
        }
    }

    static func isValid(_ name: String) -> Bool {
        let bytes = name.utf8
        guard bytes.count <= limit, let first = bytes.first else { return false }
        return first.isLetterOrDigit
            && bytes.allSatisfy { $0.isLetterOrDigit || "_.-".utf8.contains($0) }
    }
}
