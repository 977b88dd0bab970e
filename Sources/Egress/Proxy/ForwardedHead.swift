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

    /// What a request cannot call hop-by-hop: whom it is for, and how long its body is, which would
    /// be a request of its own without that.
    private static let endToEnd = ["content-length", "transfer-encoding", "host"]

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
        var headers = try Self.framed(request)
        let named = request.headers[canonicalForm: "connection"].map { $0.lowercased() }
            .filter { !Self.endToEnd.contains($0) }
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

    /// The headers with which the server sees the end of the body where the proxy saw it (RFC 9112,
    /// section 6). Nobody has looked at what a server would take for another request.
    ///
    /// The encoder compares a transfer coding to the letter, and what is no `chunked` to it goes
    /// out raw; so does the body of a TRACE, and without its length.
    private static func framed(_ request: HTTPRequestHead) throws(EgressRefusal) -> HTTPHeaders {
        var headers = request.headers
        let hasLength = headers.contains(name: "content-length")
        let hasCoding = headers.contains(name: "transfer-encoding")
        if request.method == .TRACE, hasLength || hasCoding { throw .unframed("TRACE has no body") }
        guard hasCoding else { return headers }
        if hasLength { throw .unframed("it has a length and a transfer coding") }
        let codings = headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
        guard codings == ["chunked"] else {
            throw .unframed("its transfer coding is another than 'chunked'")
        }
        headers.replaceOrAdd(name: "Transfer-Encoding", value: "chunked")
        return headers
    }

    private static func host(_ place: Authority, defaultPort: UInt16) -> String {
        place.port == defaultPort ? "\(place.host)" : "\(place)"
    }
}
