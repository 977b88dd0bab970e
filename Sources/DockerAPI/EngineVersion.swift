// SPDX-License-Identifier: Apache-2.0

/// What an engine says of itself when it is asked for its version.
package struct EngineVersion: Sendable, Hashable {
    /// Who made it, which decides a few differences.
    package enum Kind: String, Sendable {
        case docker = "Docker"
        case podman = "Podman"
    }

    package let kind: Kind
    /// The engine's own version: "20.10.24+dfsg1".
    package let version: String
    /// The newest API that it speaks.
    package let apiVersion: APIVersion
    /// The oldest API that it speaks; nil when it does not say.
    package let oldestAPIVersion: APIVersion?

    init(_ answer: Reading) throws(DockerError.Reason) {
        let newest = try answer.requiredText("ApiVersion")
        guard let apiVersion = APIVersion(newest) else {
            throw answer.wrong("ApiVersion", "'\(Visible.text(newest))', and no version")
        }
        self.apiVersion = apiVersion
        if let oldest = try answer.text("MinAPIVersion"), !oldest.isEmpty {
            guard let version = APIVersion(oldest) else {
                throw answer.wrong("MinAPIVersion", "'\(Visible.text(oldest))', and no version")
            }
            oldestAPIVersion = version
        } else {
            oldestAPIVersion = nil
        }
        version = Visible.text(try answer.text("Version") ?? "")
        var names: [String] = []
        for component in try answer.objects("Components") {
            names.append(try component.text("Name") ?? "")
        }
        kind = names.contains("Podman Engine") ? .podman : .docker
    }
}

extension EngineVersion: CustomStringConvertible {
    package var description: String { "\(kind.rawValue) \(version), API \(apiVersion)" }
}
