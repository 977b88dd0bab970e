// SPDX-License-Identifier: Apache-2.0

/// Credentials for one registry, as the engine's API takes them: JSON in base64.
///
/// Whatever prints or inspects it says "hidden": they go into a request's header, and nowhere else.
package struct RegistryAuth: Sendable {
    /// Longer is no credential.
    private static let limit = 32 << 10
    /// So many of the first bytes are hidden even without the rest.
    private static let tellingBytes = 8

    let headerValue: String

    /// `base64` is the header's text; neither it nor a part of it is in the error.
    package init(base64: String) throws(DockerError) {
        let isBase64 = base64.utf8.allSatisfy { $0.isLetterOrDigit || "+/-_=".utf8.contains($0) }
        guard isBase64, !base64.isEmpty, base64.utf8.count <= Self.limit else {
            throw DockerError(
                .imagePull,
                .invalid(
                    "the registry's credentials are not base64 of at most \(Self.limit) bytes"
                )
            )
        }
        headerValue = base64
    }

    /// The same text without the credentials, should somebody have quoted them, and without a
    /// beginning of them, should the quotation have been cut.
    func redacting(_ text: String) -> String {
        // Compared as bytes: whatever stands around them, they are plain ASCII.
        let secret = Array(headerValue.utf8)
        let telling = min(Self.tellingBytes, secret.count)
        var rest = Array(text.utf8)[...]
        var clean: [UInt8] = []
        while let next = rest.first {
            let same = zip(rest, secret).prefix { $0 == $1 }.count
            if same >= telling {
                clean += Array("(hidden)".utf8)
                rest = rest.dropFirst(same)
            } else {
                clean.append(next)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: clean, as: UTF8.self)
    }
}

extension RegistryAuth: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "hidden" }
    package var debugDescription: String { "hidden" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
