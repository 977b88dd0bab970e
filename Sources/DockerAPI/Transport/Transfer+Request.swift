// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import JSON

/// What libcurl is told of a request.
extension Transfer {
    /// `path` is the request's, with the API's version; `socketPath` is the engine's.
    func describe(_ request: EngineRequest, path: String, socketPath: String) {
        set(CURLOPT_UNIX_SOCKET_PATH, socketPath)
        // The host is of no account on a Unix socket; HTTP wants one.
        set(CURLOPT_URL, "http://docker" + path)
        set(CURLOPT_USERAGENT, "sandboxd")
        set(CURLOPT_PROTOCOLS_STR, "http")
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_HTTP09_ALLOWED, 0)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_NOSIGNAL, 1)
        // Whatever the environment says.
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOPROXY, "*")
        // libcurl sends a request again, unasked, when the kept connection that it chose turns out
        // to be dead. For a question that is as it should be; a change must not be made twice.
        set(CURLOPT_FRESH_CONNECT, request.method == .get ? 0 : 1)
        describeBody(of: request)
        if let auth = request.registryAuth { addHeader("X-Registry-Auth: \(auth.headerValue)") }
        setOwned()
    }

    private func describeBody(of request: EngineRequest) {
        // libcurl would wait a second for an answer to this before a large body.
        addHeader("Expect:")
        if request.method == .post { set(CURLOPT_POST, 1) }
        switch request.body {
        case .none:
            if request.method == .post { setBody([], type: nil) }
        case .json(let value): setBody(value.bytes, type: "application/json")
        case .archive:
            addHeader("Content-Type: application/x-tar")
            addHeader("Transfer-Encoding: chunked")
        }
        if request.method == .delete { set(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
    }

    private func setBody(_ bytes: [UInt8], type: String?) {
        // Without a value the header is left out: libcurl would make it a form.
        addHeader("Content-Type:\(type.map { " " + $0 } ?? "")")
        // A pointer is wanted even for nothing.
        let terminated = bytes + [0]
        check(
            terminated.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return CURLE_OUT_OF_MEMORY }
                return ccurl_set_body(easy, start, bytes.count - 1)
            }
        )
    }
}
