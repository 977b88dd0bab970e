// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Pages that look for a way out beside the proxy, and listeners on the host that see whether one was
/// found.
@Suite("Pages around the proxy", .ownDaemon, .browser, .beside, .timeLimit(Host.minutes(10)))
struct AroundProxyTests {
    /// A daemon whose profile `net` is the browser's and may reach `site.test`, a server on the host's
    /// loopback, and by its rules even some addresses inside.
    private struct Scene {
        let server: WebServer
        let canaries: CanaryListeners
        let daemon: TestDaemon
        /// An address of the host's that is no loopback, where it has one.
        let host: String

        var site: String { "site.test:\(server.port)" }

        init(_ certificate: Certificates.Server? = nil) throws {
            server = try WebServer(certificate)
            let directory = try Installation.shared.get().makeDirectory()
            canaries = try CanaryListeners(directory: directory, token: "around-\(server.port)")
            host = Host.address ?? "127.0.0.1"
            let profiles = try NetworkProfile.make(
                """
                network:
                  allow: ["site.test:*", "10.0.0.1:*", "169.254.169.254:*", "\(host):*"]
                  ask: []
                  bytes: 64MiB
                """,
                in: "browser"
            )
            daemon = try TestDaemon([
                "--profiles", profiles, "--egress-to", "site.test=127.0.0.1", "--spares", "0",
            ])
        }

        func run(_ words: [String]) throws -> Report {
            try daemon.api.run(Run(words, profile: "net"))
        }

        /// The value of a script on a page of the site. HOST and PORT are where the canaries listen.
        func value(_ script: String) throws -> JSON {
            let words = script.replacing("HOST", with: host)
                .replacing("PORT", with: "\(canaries.port)").replacing("SITE", with: site)
            let report = try run(["browse", "eval", "http://\(site)/", words])
            let value = report.lines.first?["value"]
            return try #require(value, "\(report.json)")
        }

        /// Nobody came, though a datagram and a connection from outside of a sandbox do.
        func expectUntouched(sourceLocation: SourceLocation = #_sourceLocation) throws {
            let touched = canaries.touched()
            #expect(touched == [], sourceLocation: sourceLocation)
            let control = """
                import socket, sys
                for host in sys.argv[2:]:
                    place = (host, int(sys.argv[1]))
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', place)
                    socket.create_connection(place).close()
                """
            for address in ["127.0.0.1", host] {
                let command = ["python3", "-c", control, "\(canaries.port)", address]
                try #require(try Program.run(command).exitCode == 0)
                let seen = canaries.touched()
                #expect(seen == ["TCP 0.0.0.0", "UDP 0.0.0.0"], sourceLocation: sourceLocation)
            }
        }
    }

    @Test("a WebSocket goes where the rules let it, and nowhere else")
    func webSocket() throws {
        let scene = try Scene()
        let value = try scene.value(
            """
            (async () => {
                const ask = url => new Promise(done => {
                    const socket = new WebSocket(url);
                    socket.onmessage = event => done(event.data);
                    socket.onerror = () => done('refused');
                });
                const said = [];
                for (const place of ['SITE', 'other.test:80', '10.0.0.1:80', '127.0.0.1:PORT',
                        'HOST:PORT', '[::1]:PORT'])
                    said.push(await ask('ws://' + place + '/socket'));
                return said;
            })()
            """
        )
        let said = value.elements.compactMap(\.text)
        #expect(said == ["hello"] + Array(repeating: "refused", count: 5), "\(value)")
        try scene.expectUntouched()
        scene.daemon.stop()
    }

    @Test("WebRTC finds no address, and no datagram of it leaves")
    func webRTC() throws {
        let scene = try Scene()
        let value = try scene.value(
            """
            (async () => {
                const ways = ['stun:HOST:PORT', 'stun:127.0.0.1:PORT', 'stun:site.test:PORT'];
                const relays = ['turn:HOST:PORT?transport=udp', 'turn:HOST:PORT?transport=tcp'];
                const here = new RTCPeerConnection({iceServers: [
                    {urls: ways}, {urls: relays, username: 'u', credential: 'c'}]});
                const there = new RTCPeerConnection();
                const found = [];
                here.onicecandidate = event => {
                    if (event.candidate) found.push(event.candidate.candidate);
                };
                const complete = new Promise(done => {
                    here.onicegatheringstatechange = () =>
                        here.iceGatheringState === 'complete' && done('complete');
                    setTimeout(() => done('patience'), 4000);
                });
                here.createDataChannel('way out');
                await here.setLocalDescription(await here.createOffer());
                await there.setRemoteDescription(here.localDescription);
                await there.setLocalDescription(await there.createAnswer());
                await here.setRemoteDescription(there.localDescription);
                // Somebody who says that they are there is asked whether they are.
                for (const host of ['HOST', '127.0.0.1'])
                    await here.addIceCandidate({sdpMid: '0', candidate:
                        `candidate:1 1 udp 2122260223 ${host} PORT typ host`});
                await complete;
                await new Promise(done => setTimeout(done, 1000));
                return found;
            })()
            """
        )
        // One that a server outside told, or relays.
        let outside = value.elements.filter { candidate in
            ["srflx", "relay", "prflx"].contains { candidate.text?.contains("typ " + $0) == true }
        }
        #expect(outside.isEmpty, "\(value)")
        try scene.expectUntouched()
        scene.daemon.stop()
    }

    @Test("QUIC is not spoken: where a server asks for it, and where the job insists")
    func quic() throws {
        let certificates = try Certificates()
        let scene = try Scene(certificates.server("site"))
        let script = """
            import sys
            from playwright.sync_api import sync_playwright
            site, host, port = sys.argv[1:]
            with sync_playwright() as run:
                for words in [
                    [],
                    ['--enable-quic', '--origin-to-force-quic-on=*'],
                    ['--enable-quic', '--no-proxy-server', f'--origin-to-force-quic-on={host}:{port}'],
                    ['--enable-quic', '--no-proxy-server', f'--origin-to-force-quic-on=q.test:{port}',
                        f'--host-resolver-rules=MAP q.test {host}'],
                ]:
                    browser = run.chromium.launch(args=words)
                    page = browser.new_context(ignore_https_errors=True).new_page()
                    urls = [f'https://{site}/elsewhere/{port}'] * 3
                    if '--no-proxy-server' in words:
                        urls = [f'https://{host}:{port}/', f'https://q.test:{port}/']
                    for url in urls:
                        try: print(page.goto(url, timeout=20000).status)
                        except Exception as error: print('net::ERR' in str(error))
                    browser.close()
            """
        let report = try scene.run([
            "python3", "-c", script, scene.site, scene.host, "\(scene.canaries.port)",
        ])
        let said = report.text.split(separator: "\n")
        #expect(report.verdict == "ok", "\(report.json)")
        #expect(said.prefix(3) == ["200", "200", "200"], "\(report.text)")
        #expect(said.dropFirst(6) == ["True", "True", "True", "True"], "\(report.text)")
        try scene.expectUntouched()
        scene.daemon.stop()
    }

    @Test("a bad certificate is the page's own error", arguments: ["expired", "other", "selfmade"])
    func certificate(_ name: String) throws {
        let scene = try Scene(try Certificates().server(name))
        let report = try scene.run(["browse", "text", "https://\(scene.site)/"])
        #expect(report.exitCode == 1, "\(report.json)")
        let error = report.lines.first?["error"]?.text ?? ""
        #expect(error.contains("net::ERR_CERT_"), "\(error)")
        // For the proxy, it was a tunnel like any other.
        let line = try #require(report.json["network"]?.elements.first)
        #expect(line["allowed"]?.bool == true && line["place"]?.text == scene.site, "\(line)")
        scene.daemon.stop()
    }

    @Test("a redirect to an address inside gets no further than the proxy")
    func redirect() throws {
        let scene = try Scene()
        let cases: [(target: String, status: Int?, error: String?)] = [
            ("http://10.0.0.1/", 403, nil),
            // Link-local addresses Chromium asks no proxy for.
            ("http://169.254.169.254/latest/meta-data/", nil, "net::ERR_ADDRESS_UNREACHABLE"),
            ("http://\(scene.host):\(scene.canaries.port)/", 403, nil),
            ("https://10.0.0.1/", nil, "net::ERR_TUNNEL_CONNECTION_FAILED"),
            ("http://127.0.0.1:\(scene.canaries.port)/", nil, "net::ERR_CONNECTION_REFUSED"),
            ("http://localhost:\(scene.canaries.port)/", nil, "net::ERR_CONNECTION_REFUSED"),
            ("http://0.0.0.0:\(scene.canaries.port)/", nil, nil),
            ("http://2130706433:\(scene.canaries.port)/", nil, nil),
            ("file:///etc/passwd", nil, "net::ERR_UNSAFE_REDIRECT"),
            ("ftp://site.test/", nil, "net::ERR_"),
        ]
        for (target, status, error) in cases {
            let report = try scene.run([
                "browse", "text", "http://\(scene.site)/redirect?\(target)",
            ])
            let line = try #require(report.lines.first, "\(report.json)")
            if let status { #expect(line["status"]?.int == status, "\(target): \(line)") }
            if let error {
                #expect(line["error"]?.text?.contains(error) == true, "\(target): \(line)")
            }
        }
        try scene.expectUntouched()
        scene.daemon.stop()
    }

    @Test("a page of the web reads no file, and nothing of other schemes or of odd addresses")
    func schemes() throws {
        let scene = try Scene()
        let value = try scene.value(
            """
            (async () => {
                const said = [];
                for (const url of ['file:///etc/passwd', 'file:///workspace/', 'ftp://site.test/',
                        'chrome://version/', 'view-source:http://SITE/', 'filesystem:http://SITE/x',
                        'http://0.0.0.0:PORT/', 'http://[::1]:PORT/', 'http://2130706433:PORT/',
                        'http://[::ffff:127.0.0.1]:PORT/', 'http://HOST:PORT/', 'http://10.0.0.1/'])
                    said.push(await fetch(url).then(answer => answer.text(), () => 'refused'));
                const frame = document.createElement('iframe');
                frame.src = 'file:///etc/passwd';
                document.body.append(frame);
                for (const url of ['file:///etc/passwd', 'chrome://version/'])
                    try { location = url; } catch { }
                await new Promise(done => setTimeout(done, 500));
                let text = '';
                try { text = frame.contentDocument.body.innerText; } catch { }
                return [...said, text, location.href];
            })()
            """
        )
        let said = value.elements.compactMap(\.text)
        #expect(
            said == Array(repeating: "refused", count: 12) + ["", "http://\(scene.site)/"],
            "\(value)"
        )
        try scene.expectUntouched()
        scene.daemon.stop()
    }
}
