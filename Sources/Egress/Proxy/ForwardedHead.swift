// SPDX-License-Identifier: Apache-2.0
internal import NIOHTTP1

/// The head of a plain request as it goes on to its server.
struct ForwardedHead {
    let place: Authority
    let head: HTTPRequestHead

    /// What is between a client and its proxy, and not for the server (RFC 9110, section 7.6.1).
    private static let hopByHop = [
        "connection", "proxy-connection", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "upgrade", "expect", "http2-settings",
    ]

    /// Understands a request to a proxy: its target is a whole URL (RFC 9112, section 3.2.2).
    init(_ request: HTTPRequestHead, headers rules: [HeaderRule]) throws(EgressRefusal) {
        let scheme = "http://"
        guard request.uri.lowercased().hasPrefix(scheme) else {
            throw .malformed(
                "'\(request.uri.prefix(80))' is no URL that begins with http://; others go "
                    + "through CONNECT"
            )
        }
        let rest = request.uri.utf8.dropFirst(scheme.utf8.count)
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
        place = try Authority(rest[..<(end ?? rest.endIndex)], defaultPort: 80)
        var path = end.map { String(request.uri[$0...]) } ?? "/"
        if !path.hasPrefix("/") { path = "/" + path }

        var headers = request.headers
        let named = request.headers[canonicalForm: "connection"].map(String.init)
        for name in Self.hopByHop + named { headers.remove(name: name) }
        // What the request says elsewhere about its host is not believed.
        headers.replaceOrAdd(name: "Host", value: Self.host(place))
        headers.add(name: "Connection", value: "close")
        for rule in rules where rule.place == place {
            headers.replaceOrAdd(name: rule.name, value: rule.value)
        }
        head = HTTPRequestHead(
            version: .http1_1,
            method: request.method,
            uri: path,
            headers: headers
        )
    }

    private static func host(_ place: Authority) -> String {
        place.port == 80 ? "\(place.host)" : "\(place)"
    }
}
