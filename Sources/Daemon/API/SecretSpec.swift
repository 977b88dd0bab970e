// SPDX-License-Identifier: Apache-2.0
internal import Egress
internal import Policy

/// A secret that a run asks for, by name: as a file, or in a header that only the proxy writes.
struct SecretSpec: Decodable, Sendable {
    /// A header, and the place whose plain requests get it.
    struct Target: Sendable {
        var header: String
        var place: Authority
        /// Whether those requests are sent on over TLS.
        var isOverTLS: Bool
    }

    private static let keys = ["name", "header", "to"]

    var name: String
    /// Where the proxy writes it; nil for a file.
    var target: Target?

    init(from decoder: any Decoder) throws {
        let body = try decoder.strictContainer("a secret", Self.keys)
        guard let name: String = try body.value("name") else {
            throw APIError.invalid("a secret has no 'name'")
        }
        self.name = name
        let header: String? = try body.value("header")
        let place: String? = try body.value("to")
        switch (header, place) {
        case (nil, nil): target = nil
        case (let header?, let place?): target = try Self.target(header, place, name)
        default:
            throw APIError.invalid("the secret '\(name)' needs both of 'header' and 'to', or none")
        }
    }

    private static func target(
        _ header: String,
        _ text: String,
        _ name: String
    ) throws(APIError) -> Target {
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
        let scheme = ["https://", "http://"].first { text.hasPrefix($0) }
        let place = text.utf8.dropFirst(scheme?.utf8.count ?? 0)
        do throws(EgressRefusal) {
            return Target(
                header: header,
                place: try Authority(place, defaultPort: nil),
                isOverTLS: scheme == "https://"
            )
        } catch {
            throw .invalid("the secret '\(name)': 'to' is '\(text)': \(error)")
        }
    }

    /// Refuses what cannot be meant: the same secret twice, two in one header, and a place that is
    /// spoken to over TLS for one header and without for another.
    static func check(_ secrets: [SecretSpec]) throws(APIError) {
        guard Set(secrets.map(\.noted)).count == secrets.count else {
            throw .invalid("'secrets' names one twice")
        }
        var known: [Authority: [Target]] = [:]
        for target in secrets.compactMap(\.target) {
            for other in known[target.place] ?? [] {
                guard other.isOverTLS == target.isOverTLS else {
                    throw .invalid("'secrets': \(target.place) is named with https:// and without")
                }
                guard other.header.lowercased() != target.header.lowercased() else {
                    throw .invalid("'secrets': two are for \(target.header) of \(target.place)")
                }
            }
            known[target.place, default: []].append(target)
        }
    }

    /// As it is written down: never what it is.
    var noted: String {
        guard let target else { return name }
        let scheme = target.isOverTLS ? "https://" : ""
        return "\(name) as \(target.header) to \(scheme)\(target.place)"
    }
}
