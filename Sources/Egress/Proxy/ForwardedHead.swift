// SPDX-License-Identifier: Apache-2.0
internal import NIOHTTP1

/// The head of a plain request as it goes on to its server.
struct ForwardedHead {
    let place: Authority
    let head: HTTPRequestHead
    /// What it is sent on over; nil sends it as it is.
    let tls: ServerTLS?

    /// What is between a client and its proxy, and not for the server (RFC 9110, section 7.6.1).
    private static let hopByHop = [
        "connection", "proxy-connection", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "upgrade", "expect", "http2-settings",
    ]

    /// Understands a request to a proxy: its target is a whole URL (RFC 9112, section 3.2.2). When
    /// a header for its place goes over TLS, so does the request.
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

        let given = rules.filter { [place] in $0.place == place }
        // Its answer is the request itself (RFC 9110, section 9.3.8).
        guard given.isEmpty || request.method != .TRACE else {
            throw .echo(place)
        }
        tls = given.compactMap(\.tls).first
        var headers = request.headers
        let named = request.headers[canonicalForm: "connection"].map(String.init)
        for name in Self.hopByHop + named { headers.remove(name: name) }
        // What the request says elsewhere about its host is not believed.
        headers.replaceOrAdd(
            name: "Host",
            value: Self.host(place, defaultPort: tls == nil ? 80 : 443)
        )
        headers.add(name: "Connection", value: "close")
        for rule in given { headers.replaceOrAdd(name: rule.name, value: rule.value) }
        head = HTTPRequestHead(
            version: .http1_1,
            method: request.method,
            uri: path,
            headers: headers
        )
    }

    private static func host(_ place: Authority, defaultPort: UInt16) -> String {
        place.port == defaultPort ? "\(place.host)" : "\(place)"
    }
}
