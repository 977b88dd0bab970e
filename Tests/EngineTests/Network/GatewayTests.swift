// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("The way out of a sandbox", .ownDaemon, .beside)
struct GatewayTests {
    /// A daemon with a profile `net` that may reach `site.test` and ask for `*.ask.test`, all on
    /// the port of a server on the host's loopback.
    private struct Scene {
        let daemon: TestDaemon
        let server: WebServer
        var port: Int { server.port }

        init() throws {
            server = try WebServer()
            let profiles = try NetworkProfile.make(
                """
                network:
                  allow: ["site.test:\(server.port)"]
                  ask: ["*.ask.test:*", "127.0.0.1:*"]
                  bytes: 4MiB
                """
            )
            daemon = try TestDaemon([
                "--profiles", profiles, "--egress-to", "site.test=127.0.0.1",
                "--egress-to", "a.ask.test=127.0.0.1",
            ])
        }

        /// A Python program whose `get(url)` answers status and text, whatever the status.
        func run(_ program: String, _ more: [String: JSON] = [:]) throws -> Report {
            let tools = """
                import os, socket, urllib.error, urllib.request
                def get(url):
                    try:
                        with urllib.request.urlopen(url, timeout=20) as answer:
                            return answer.status, answer.read().decode()
                    except urllib.error.HTTPError as error:
                        return error.code, error.read().decode()

                """
            let run = Run(
                ["python3", "-c", tools + program.replacing("PORT", with: "\(port)")],
                profile: "net",
                more
            )
            return try daemon.api.run(run)
        }
    }

    private static func places(_ report: Report) -> [String: JSON] {
        var places: [String: JSON] = [:]
        for line in report.json["network"]?.elements ?? [] {
            places[line["place"]?.text ?? ""] = line
        }
        return places
    }

    @Test("what the profile allows is reached, and accounted for")
    func allowed() throws {
        let scene = try Scene()
        let report = try scene.run("print(*get('http://site.test:PORT/'))")
        #expect(report.text == "200 host site.test:\(scene.port), from 127.0.0.1", "\(report.json)")
        #expect(report.isClean, "\(report.json)")
        let line = try #require(Self.places(report)["site.test:\(scene.port)"])
        #expect(line["allowed"]?.bool == true && line["count"]?.int == 1)
        #expect(line["rule"]?.text == "site.test:\(scene.port)")
        let bytes = try #require(report.usage("egress_bytes"))
        #expect(bytes > 100 && bytes < 2000)
        scene.daemon.stop()
    }

    @Test("what is not allowed is refused with the rule that would allow it, and written down")
    func denied() throws {
        let scene = try Scene()
        let report = try scene.run(
            """
            print(*get('http://other.test:PORT/'))
            print(*get('http://a.ask.test:PORT/'))
            print(*get('http://site.test:1/'))
            """
        )
        let lines = report.text.split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.hasPrefix("403 ") }, "\(report.text)")
        #expect(report.text.contains("--allow other.test:\(scene.port)"))
        let places = Self.places(report)
        #expect(places.count == 3 && places.values.allSatisfy { $0["allowed"]?.bool == false })
        scene.daemon.stop()
    }

    @Test("a run may ask for what its profile lets it, and for nothing else")
    func asked() throws {
        let scene = try Scene()
        let port = scene.port
        let asked = try scene.run(
            "print(*get('http://a.ask.test:PORT/'))",
            ["allow": .array([.string("a.ask.test:\(port)")])]
        )
        #expect(asked.text.hasPrefix("200 "), "\(asked.json)")
        for (profile, rule) in [("net", "example.com:443"), ("code", "a.ask.test:\(port)")] {
            let run = Run(["true"], profile: profile, ["allow": .array([.string(rule)])])
            let refused = try scene.daemon.api.post(try run.json.bytes)
            #expect(refused.status == 400 && refused.text.contains(rule), "\(refused.text)")
        }
        let malformed = Run(["true"], profile: "net", ["allow": ["example.com"]])
        #expect(try scene.daemon.api.post(try malformed.json.bytes).text.contains("port"))
        scene.daemon.stop()
    }

    @Test("addresses inside are not reached, by whatever way they are named")
    func inside() throws {
        let scene = try Scene()
        // Allowed by a rule, and still of no public network: only the name has an exception.
        let report = try scene.run(
            """
            def ask(bytes):
                with socket.create_connection(('127.0.0.1', 3128), 20) as s:
                    s.sendall(bytes)
                    return s.recv(200)
            print(ask(b'CONNECT 127.0.0.1:PORT HTTP/1.1\\r\\n\\r\\n')[:12])
            print(get('http://site.test:PORT/redirect?http://10.0.0.1:PORT/')[0])
            print(get('http://site.test:PORT/redirect?http://169.254.169.254/')[0])
            print(ask(b'CONNECT 0x7f.1:PORT HTTP/1.1\\r\\n\\r\\n')[:12])
            with socket.create_connection(('127.0.0.1', 3128), 20) as s:
                s.sendall(bytes([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]))
                print(s.makefile('rb').read(4))
            """,
            ["allow": .array([.string("127.0.0.1:\(scene.port)")])]
        )
        #expect(
            report.text == """
                b'HTTP/1.1 403'
                403
                403
                b'HTTP/1.1 400'
                b'\\x05\\x00\\x05\\x02'
                """,
            "\(report.json)"
        )
        scene.daemon.stop()
    }

    @Test("a WebSocket goes through a tunnel; asked for in a plain request it is not one")
    func webSocket() throws {
        let scene = try Scene()
        let report = try scene.run(
            """
            head = (b'Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n'
                b'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n')
            def ask(first, second=None):
                with socket.create_connection(('127.0.0.1', 3128), 20) as s:
                    s.sendall(first)
                    stream = s.makefile('rb')
                    print(stream.readline().decode().strip())
                    if second is None: return
                    while stream.readline() != b'\\r\\n': pass
                    s.sendall(second)
                    print(stream.readline().decode().strip())
                    while stream.readline() != b'\\r\\n': pass
                    print(stream.read(7))
            ask(b'CONNECT site.test:PORT HTTP/1.1\\r\\n\\r\\n',
                b'GET /socket HTTP/1.1\\r\\nHost: site.test\\r\\n' + head)
            ask(b'GET http://site.test:PORT/socket HTTP/1.1\\r\\n' + head)
            ask(b'CONNECT other.test:PORT HTTP/1.1\\r\\n\\r\\n')
            """
        )
        #expect(
            report.text == """
                HTTP/1.1 200 Connection established
                HTTP/1.1 101 Switching Protocols
                b'\\x81\\x05hello'
                HTTP/1.1 200 OK
                HTTP/1.1 403 Forbidden
                """,
            "\(report.json)"
        )
        scene.daemon.stop()
    }

    @Test("the sandbox has no interface, route or resolver but its loopback and the proxy there")
    func nothingElse() throws {
        let scene = try Scene()
        let report = try scene.run(
            """
            print(sorted(name for _, name in socket.if_nameindex()))
            print(open('/proc/net/route').read().count('\\n'))
            for address in [('127.0.0.1', PORT), ('192.0.2.1', 80)]:
                try: socket.create_connection(address, 2); print('connected')
                except OSError as e: print(e.strerror)
            try: socket.getaddrinfo('site.test', 80); print('resolved')
            except socket.gaierror: print('no resolver')
            """
        )
        #expect(
            report.text == """
                ['lo']
                1
                Connection refused
                Network is unreachable
                no resolver
                """,
            "\(report.json)"
        )
        scene.daemon.stop()
    }

    @Test("an answer without an end stops at the profile's cap")
    func cap() throws {
        let scene = try Scene()
        let report = try scene.run(
            """
            try: print(len(get('http://site.test:PORT/endless')[1]) > 0)
            except Exception as e: print(type(e).__name__)
            print(get('http://site.test:PORT/')[0])
            """
        )
        #expect(report.text.hasSuffix("403"), "\(report.json)")
        let bytes = try #require(report.usage("egress_bytes"))
        #expect(bytes > 3_000_000 && bytes < 6_000_000, "\(bytes)")
        scene.daemon.stop()
    }

    @Test(
        "a job that ends with connections open leaves none of them, nor the daemon that is killed"
    )
    func leftovers() throws {
        let scene = try Scene()
        let report = try scene.run(
            """
            for _ in range(50):
                s = socket.create_connection(('127.0.0.1', 3128))
                s.sendall(b'CONNECT site.test:PORT HTTP/1.1\\r\\n\\r\\n')
                globals()[f'kept{_}'] = s
            print(s.recv(12))
            """
        )
        #expect(report.text == "b'HTTP/1.1 200'" && report.isClean, "\(report.json)")
        func sockets() -> Int {
            ProcessTable.names("/proc/\(scene.daemon.pid)/fd").count
        }
        let before = sockets()
        _ = try scene.run("for _ in range(20): get('http://site.test:PORT/')")
        #expect(Host.waits(upTo: .seconds(5)) { sockets() <= before + 2 })
        let mark = Sandboxes.mark()
        let live = try scene.daemon.api.start(
            Run(
                [
                    "python3", "-c",
                    "import urllib.request; print('up', flush=True); "
                        + "urllib.request.urlopen('http://site.test:\(scene.port)/endless').read()",
                ],
                profile: "net",
                ["env": ["MARK": .string(mark)]]
            )
        )
        try live.waits(for: "up")
        scene.daemon.kill9()
        let isGone = Host.waits(upTo: .seconds(1)) { Sandboxes.processes(marked: mark).isEmpty }
        #expect(isGone)
    }
}
