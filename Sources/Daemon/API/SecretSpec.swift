// SPDX-License-Identifier: Apache-2.0
internal import Egress
internal import Policy

/// A secret that a run asks for, by name: as a file, or in a header that only the proxy writes.
struct SecretSpec: Decodable, Sendable {
    private static let keys = ["name", "header", "to"]

    var name: String
    /// The header and the place whose plain requests get it; nil for a file.
    var header: (name: String, place: Authority)?

    init(from decoder: any Decoder) throws {
        let body = try decoder.strictContainer("a secret", Self.keys)
        guard let name: String = try body.value("name") else {
            throw APIError.invalid("a secret has no 'name'")
        }
        self.name = name
        let header: String? = try body.value("header")
        let place: String? = try body.value("to")
        switch (header, place) {
        case (nil, nil): self.header = nil
        case (let header?, let place?): self.header = try Self.header(header, place, name)
        default:
            throw APIError.invalid("the secret '\(name)' needs both of 'header' and 'to', or none")
        }
    }

    private static func header(
        _ header: String,
        _ place: String,
        _ name: String
    ) throws(APIError) -> (String, Authority) {
        let isToken = header.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || byte == 45 || byte == 95
        }
        // These are the proxy's own to write.
        let own = ["host", "connection", "content-length", "transfer-encoding", "upgrade"]
        guard isToken, (1...128).contains(header.utf8.count), !own.contains(header.lowercased())
        else {
            throw .invalid("the secret '\(name)': '\(header.prefix(32))' is no header for it")
        }
        do throws(EgressRefusal) {
            return (header, try Authority(place.utf8, defaultPort: nil))
        } catch {
            throw .invalid("the secret '\(name)': 'to' is '\(place)': \(error)")
        }
    }

    /// As it is written down: never what it is.
    var noted: String {
        header.map { "\(name) as \($0.name) to \($0.place)" } ?? name
    }
}
