// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

@testable import Images

/// Who gets to see credentials: one host's registry, through one header, and nobody else.
@Suite("Credentials of registries", .timeLimit(.minutes(1)))
struct CredentialTests {
    private static let password = "corRect-h0rse/battery+staple"

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// Docker's own form.
    private static func json(_ host: String, user: String = "robot") -> String {
        #"{"auths":{"\#(host)":{"auth":"\#(base64("\(user):\(password)"))"}},"credsStore":"x"}"#
    }

    private func pull(
        _ registry: FakeRegistry,
        _ scratch: Scratch,
        credentials: String,
        reference: String = "host.test/app:1",
        environment: [String: String] = [:]
    ) throws -> Tools.Ending {
        try Tools.run(
            [
                "image", "pull", reference, "--name", "app", "--images", scratch.path + "/store",
                "--docker", registry.engine.address, "--credentials", credentials,
            ],
            environment: environment
        )
    }

    /// Whether a text has the secret in any form that we know of.
    private func isTold(in text: String) -> Bool {
        [Self.password, Self.base64("robot:" + Self.password), "corRect"]
            .contains { text.contains($0) }
    }

    static let forms = [
        json("host.test"), "host.test robot \(password)\n",
        "# for tests\n\nother.test someone else\r\nhost.test\trobot  \(password)\r\n",
    ]

    @Test(
        "credentials go into the header of the one pull, and into no other request",
        arguments: forms
    )
    func sending(content: String) throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", content, mode: 0o600)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file)
        #expect(ending.status == 0, "\(ending.text)")
        #expect(!isTold(in: ending.text))
        for request in registry.engine.requests {
            let header = request.headers["x-registry-auth"]
            guard request.path.contains("fromImage") else {
                #expect(header == nil, "\(request.path)")
                continue
            }
            let standard = try #require(header).replacing("-", with: "+").replacing("_", with: "/")
            let data = try #require(Data(base64Encoded: standard))
            let sent = try JSONSerialization.jsonObject(with: data) as? [String: String]
            #expect(
                sent == [
                    "username": "robot", "password": Self.password, "serveraddress": "host.test",
                ]
            )
            #expect(!isTold(in: request.path))
        }
        #expect(registry.calls.contains("pull"))
    }

    static let others = [
        json("other.test"), json("host.test:443"), json("https://host.test"), json("HOST.TEST"),
        json("host.test/app"), json("test"), json("*"), json(""), "other.test robot \(password)",
        "host.test.evil robot \(password)", "evil.host.test robot \(password)", #"{"auths":{}}"#,
    ]

    @Test(
        "credentials for one host are not used for another, and nothing is asked without them",
        arguments: others
    )
    func otherHost(content: String) throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", content, mode: 0o600)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file)
        #expect(ending.status == 125)
        #expect(ending.errors.contains("have none for the registry host.test"), "\(ending.errors)")
        #expect(!isTold(in: ending.text))
        #expect(registry.engine.requests.isEmpty)
    }

    @Test("a port is part of the host")
    func port() throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", Self.json("host.test"), mode: 0o600)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(
            registry,
            scratch,
            credentials: file,
            reference: "host.test:5000/app:1"
        )
        #expect(ending.errors.contains("have none for the registry host.test:5000"))
        #expect(registry.engine.requests.isEmpty)
    }

    @Test("what Docker calls its own registry is that, and no other")
    func standardRegistry() throws {
        let scratch = try Scratch()
        let text = Self.json("https://index.docker.io/v1/")
        let file = try scratch.write("credentials", text, mode: 0o600)
        var behaviour = FakeRegistry.Behaviour()
        behaviour.knownDigests = ["app@" + FakeRegistry.manifest]
        let registry = try FakeRegistry(TinyArchive("hello"), behaviour)
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file, reference: "app:1")
        #expect(ending.status == 0, "\(ending.text)")
        #expect(registry.engine.requests.contains { $0.headers["x-registry-auth"] != nil })
    }

    @Test("an engine that quotes what it was sent does not make us tell it")
    func quoting() throws {
        let basic = Self.base64("robot:" + Self.password)
        let header = Self.base64(
            #"{"password":"\#(Self.password)","serveraddress":"host.test","username":"robot"}"#
        )
        let cut = Self.password.prefix(12)
        let words = "no: \(Self.password) \(basic) \(header) \(cut)"
        for answer in [
            FakeEngine.Answer.json(#"{"message":"\#(words)"}"#, status: 500),
            .json(#"{"error":"\#(words)"}"#), .json(#"{"status":"\#(words)"}"#), .json(words),
        ] {
            let scratch = try Scratch()
            let file = try scratch.write("credentials", Self.json("host.test"), mode: 0o600)
            let registry = try FakeRegistry(TinyArchive("hello"), .init(pullAnswer: answer))
            defer { registry.engine.stop() }
            let ending = try pull(registry, scratch, credentials: file)
            #expect(ending.status == 125)
            #expect(!isTold(in: ending.text), "\(ending.text)")
            #expect(!ending.text.contains(header.prefix(16)))
        }
    }

    @Test("no process has credentials among its arguments or in its environment")
    func processes() throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", Self.json("host.test"), mode: 0o600)
        var behaviour = FakeRegistry.Behaviour()
        let marks = [Self.password, Self.base64("robot:" + Self.password)]
        behaviour.whilePulling = { [path = scratch.path] in
            var found: [String] = []
            var seen = 0
            for pid in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            where Int(pid) != nil {
                for name in ["cmdline", "environ"] {
                    // One that is gone or somebody else's has nothing of ours.
                    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/\(name)")
                    else { continue }
                    let text = String(decoding: data, as: UTF8.self)
                    if text.contains(path) { seen += 1 }
                    if marks.contains(where: { text.contains($0) }) { found.append(pid) }
                }
            }
            try? "\(seen) \(found.count)".write(
                toFile: path + "/found",
                atomically: true,
                encoding: .utf8
            )
        }
        let registry = try FakeRegistry(TinyArchive("hello"), behaviour)
        defer { registry.engine.stop() }
        #expect(try pull(registry, scratch, credentials: file).status == 0)
        let found = try String(contentsOfFile: scratch.path + "/found", encoding: .utf8)
        let counts = found.split(separator: " ").compactMap { Int($0) }
        // The program itself was seen, so that the look was worth something.
        #expect(counts.count == 2 && counts[0] > 0 && counts[1] == 0, "\(found)")
    }

    @Test(
        "a file that others could read, or that is none, is not used, nor is anything asked without",
        arguments: [
            ("0644", "others may use it: run 'chmod 0600"), ("0640", "others may use it"),
            ("0602", "others may use it"), ("missing", "cannot be read"),
            ("directory", "it is no regular file"), ("fifo", "it is no regular file"),
            ("link", "it is a link"), ("large", "cannot be read"),
        ]
    )
    func exposed(kind: String, problem: String) throws {
        let scratch = try Scratch()
        let text = Self.json("host.test")
        var file = scratch.path + "/credentials"
        switch kind {
        case "missing": break
        case "directory": file = scratch.path + "/"
        case "fifo": mkfifo(file, 0o600)
        case "link":
            let target = try scratch.write("target", text, mode: 0o600)
            symlink(target, file)
        case "large":
            try scratch.write(
                "credentials",
                text + String(repeating: " ", count: 1 << 16),
                mode: 0o600
            )
        default: try scratch.write("credentials", text, mode: Int(kind, radix: 8) ?? 0)
        }
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file)
        #expect(ending.status == 125)
        #expect(ending.errors.contains(problem), "\(ending.errors)")
        #expect(!isTold(in: ending.text))
        #expect(registry.engine.requests.isEmpty)
    }

    @Test(
        "a file of somebody else's is not used",
        .enabled(if: geteuid() == 0, "only root can give a file away")
    )
    func owner() throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", Self.json("host.test"), mode: 0o600)
        #expect(chown(file, 12_345, 12_345) == 0)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file)
        #expect(ending.errors.contains("it belongs to user 12345"))
        #expect(registry.engine.requests.isEmpty)
    }

    @Test(
        "what is written otherwise is refused by its place, not by its words",
        arguments: [
            ("", "have none for the registry"), ("host.test robot", "line 1 is not"),
            ("a b c\nhost.test\n", "line 2 is not"),
            ("host.test a b\nhost.test c d", "line 2 is not"),
            ("{", "they are no JSON object with 'auths'"),
            (#"{"auths":[]}"#, "they are no JSON object with 'auths'"),
            (#"{"auths":{"host.test":{}}}"#, "credential helpers are not asked"),
            (#"{"auths":{"host.test":{"auth":"corRect!"}}}"#, "has no 'auth' that is base64"),
            (#"{"auths":{"host.test":{"auth":"Y29yUmVjdA=="}}}"#, "has no 'auth' that is base64"),
        ]
    )
    func malformed(content: String, problem: String) throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", content, mode: 0o600)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, scratch, credentials: file)
        #expect(ending.status == 125)
        #expect(ending.errors.contains(problem), "\(ending.errors)")
        #expect(!isTold(in: ending.text))
        #expect(registry.engine.requests.isEmpty)
    }

    @Test(
        "a credential of systemd's is found by its name, and only in the directory that it passed"
    )
    func systemd() throws {
        let scratch = try Scratch()
        // As systemd has it for a unit's user: the mask of an access list shows as a group's right.
        try scratch.write("passed/registry", Self.json("host.test"), mode: 0o440)
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let environment = ["CREDENTIALS_DIRECTORY": scratch.path + "/passed"]
        var ending = try pull(
            registry,
            scratch,
            credentials: "registry",
            environment: environment
        )
        #expect(ending.status == 0, "\(ending.text)")
        #expect(registry.engine.requests.contains { $0.headers["x-registry-auth"] != nil })

        let count = registry.engine.requests.count
        ending = try pull(registry, scratch, credentials: "registry")
        #expect(ending.errors.contains("LoadCredential=registry:FILE"), "\(ending.errors)")
        ending = try pull(registry, scratch, credentials: "..", environment: environment)
        #expect(ending.errors.contains("is no name of a credential"))
        ending = try pull(registry, scratch, credentials: "absent", environment: environment)
        #expect(ending.errors.contains("cannot be read"))
        try scratch.write("passed/open", Self.json("host.test"), mode: 0o444)
        ending = try pull(registry, scratch, credentials: "open", environment: environment)
        #expect(ending.errors.contains("others may use it"))
        #expect(registry.engine.requests.count == count)
    }

    /// An engine in a few lines, which writes down the heads that it is sent.
    private static let stranger = """
        import http.server, socketserver, sys
        class Engine(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def address_string(self): return "x"
            def answer(self):
                open(sys.argv[2], "a").write(self.requestline + "\\n" + str(self.headers))
                body = b'{"Version":"24","ApiVersion":"1.43","MinAPIVersion":"1.12"}'
                self.send_response(404 if "/images/" in self.path else 200)
                self.send_header("Api-Version", "1.43")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_GET = do_POST = answer
        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
        with Server(sys.argv[1], Engine) as server:
            print("up", flush=True)
            server.serve_forever()
        """

    @Test(
        "nobody but root, oneself and the directory's only owner is sent credentials",
        .enabled(if: geteuid() == 0, "only root can be two users"),
        arguments: [(0o1777, true), (0o755, false)] as [(mode_t, Bool)]
    )
    func stranger(mode: mode_t, isRefused: Bool) throws {
        let scratch = try Scratch()
        let file = try scratch.write("credentials", Self.forms[1], mode: 0o600)
        let place = scratch.path + "/run"
        mkdir(place, 0o755)
        // Nobody's own, and writable for all or not.
        chown(place, 65534, 65534)
        chmod(place, mode)
        chmod(scratch.path, 0o755)
        let engine = Process()
        engine.executableURL = URL(filePath: "/usr/bin/setpriv")
        engine.arguments = [
            "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-c", Self.stranger,
            place + "/engine.sock", place + "/heads",
        ]
        let output = Pipe()
        engine.standardOutput = output
        engine.standardError = FileHandle.nullDevice
        try engine.run()
        defer {
            kill(engine.processIdentifier, SIGKILL)
            engine.waitUntilExit()
        }
        // It listens once it has said so.
        #expect(try output.fileHandleForReading.read(upToCount: 2)?.count == 2)
        let ending = try Tools.run([
            "image", "pull", "host.test/app:1", "--name", "app", "--images",
            scratch.path + "/store", "--docker", "unix://" + place + "/engine.sock",
            "--credentials", file,
        ])
        #expect(ending.status != 0)
        #expect(ending.text.contains("neither root nor you") == isRefused, "\(ending.text)")
        let heads = try String(contentsOfFile: place + "/heads", encoding: .utf8)
        #expect(heads.lowercased().contains("x-registry-auth") == !isRefused, "\(heads)")
    }
}
