// SPDX-License-Identifier: Apache-2.0

/// Answers that a fake engine gives: a good engine's, for tests to spoil.
enum FakeAnswers {
    static let containerID = String(repeating: "0123456789abcdef", count: 4)
    static let imageID = "sha256:" + containerID

    /// What an engine answers that has one of everything.
    static let working: FakeEngine.Script = { request in
        let path = request.path.split(separator: "?").first.map(String.init) ?? ""
        let isVersioned = path.hasPrefix("/v1.")
        let call = isVersioned ? String(path.dropFirst("/v1.41".count)) : path
        switch (request.method, call) {
        case ("GET", "/_ping"): return ping()
        case ("GET", "/version"): return json(version())
        case ("GET", "/info"): return json(info)
        case ("GET", "/containers/json"), ("GET", "/images/json"): return json("[]")
        case ("GET", let call) where call.hasPrefix("/containers/"): return json(container)
        case ("GET", let call) where call.hasPrefix("/images/"): return json(image)
        case ("POST", "/containers/create"):
            return json(#"{"Id":"\#(containerID)","Warnings":[]}"#, status: "201 Created")
        case ("POST", "/images/create"): return json(#"{"status":"\#(imageID)"}"# + "\r\n")
        case ("POST", _), ("DELETE", _): return head("204 No Content", [])
        default: return json(#"{"message":"page not found"}"#, status: "404 Not Found")
        }
    }

    /// The same, but for one call: what begins with `path` after the version.
    static func working(
        but method: String,
        _ path: String,
        _ moves: @escaping @Sendable (FakeRequest) -> [FakeEngine.Move]
    ) -> FakeEngine.Script {
        { request in
            let isMeant =
                request.method == method
                && (request.path.hasPrefix(path) || request.path.dropFirst(6).hasPrefix(path))
            return isMeant ? moves(request) : working(request)
        }
    }

    // MARK: Messages

    static func head(
        _ status: String,
        _ headers: [String],
        version: String = "1.41"
    ) -> [FakeEngine.Move] {
        let lines = ["HTTP/1.1 \(status)", "Api-Version: \(version)"] + headers
        return [.text(lines.joined(separator: "\r\n") + "\r\n\r\n")]
    }

    static func json(
        _ body: String,
        status: String = "200 OK",
        type: String = "application/json",
        version: String = "1.41"
    ) -> [FakeEngine.Move] {
        let headers = ["Content-Type: \(type)", "Content-Length: \(body.utf8.count)"]
        return head(status, headers, version: version) + [.text(body)]
    }

    /// The head of an answer in chunks, of which none has come yet.
    static let chunkedHead = head(
        "200 OK",
        ["Content-Type: application/json", "Transfer-Encoding: chunked"]
    )

    static func chunk(_ text: String) -> FakeEngine.Move {
        .text(String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n")
    }

    static let lastChunk = FakeEngine.Move.text("0\r\n\r\n")

    /// What a web server says.
    static let notFound: [FakeEngine.Move] = [
        .text("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found")
    ]

    static let webPage: [FakeEngine.Move] = [
        .text(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
        )
    ]

    static func ping(_ version: String = "1.41") -> [FakeEngine.Move] {
        [
            .text(
                "HTTP/1.1 200 OK\r\nApi-Version: \(version)\r\nContent-Type: text/plain\r\n"
                    + "Content-Length: 2\r\n\r\nOK"
            )
        ]
    }

    static func version(newest: String = "1.41", oldest: String = "1.12") -> String {
        """
        {"Components":[{"Name":"Engine"}],"Version":"20.10.24+dfsg1","ApiVersion":"\(newest)",\
        "MinAPIVersion":"\(oldest)"}
        """
    }

    static let info = """
        {"Driver":"overlay2","MemoryLimit":false,"SwapLimit":false,"PidsLimit":false,\
        "CpuCfsQuota":true,"CPUSet":true,"CgroupDriver":"none","CgroupVersion":"1",\
        "KernelVersion":"6.1.0","OSType":"linux","Architecture":"x86_64","NCPU":2,\
        "MemTotal":25276510208,"Runtimes":{"runc":{"path":"runc"},"crun":{"path":"crun"}},\
        "DefaultRuntime":"runc","SecurityOptions":["name=seccomp,profile=default","name=rootless"],\
        "Warnings":["WARNING: Running in rootless-mode without cgroups."],"Labels":null}
        """

    static let container = """
        {"Id":"\(containerID)","Name":"/some","Image":"\(imageID)",\
        "State":{"Status":"running","Running":true,"Pid":4711,"ExitCode":0,"OOMKilled":false,\
        "Error":""},"Config":{"Labels":{"a":"b"},"User":"1000"},\
        "HostConfig":{"Memory":0,"Runtime":"runc"},"Mounts":[{"Type":"bind","Source":"/a",\
        "Destination":"/b","RW":false}]}
        """

    static let image = """
        {"Id":"\(imageID)","RepoTags":["some:one"],"RepoDigests":[],"Size":682696,\
        "Config":{"Labels":{"a":"b"}}}
        """
}
