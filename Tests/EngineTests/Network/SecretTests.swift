// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Secrets for a run", .ownDaemon, .beside)
struct SecretTests {
    private static let secret = "correct horse battery"

    private struct Scene {
        let daemon: TestDaemon
        let server: WebServer
        let secrets: String

        /// Without a certificate, the server is a plain one.
        init(_ certificate: String? = nil) throws {
            let certificates = try Certificates()
            server = try WebServer(certificate.map(certificates.server))
            let installation = try Installation.shared.get()
            secrets = try installation.makeDirectory() + "/secrets"
            let profiles = try NetworkProfile.make(
                """
                network:
                  allow: ["site.test:\(server.port)"]
                  ask: []
                  bytes: 4MiB
                secrets: [token, open, missing, lines]
                """
            )
            mkdir(secrets, 0o700)
            for (name, text, mode) in [
                ("token", SecretTests.secret + "\n", 0o600), ("open", "x", 0o644),
                ("lines", "a\nb", 0o600), ("unlisted", "x", 0o600),
            ] {
                try text.write(toFile: secrets + "/" + name, atomically: true, encoding: .utf8)
                chmod(secrets + "/" + name, mode_t(mode))
            }
            if let user = Host.userID, let group = Host.groupID {
                let names = ProcessTable.names(secrets)
                chown(secrets, user, group)
                for name in names { chown(secrets + "/" + name, user, group) }
            }
            daemon = try TestDaemon([
                "--profiles", profiles, "--egress-to", "site.test=127.0.0.1",
                "--secrets", secrets, "--verbose", "--egress-ca", certificates.authority,
            ])
        }

        func run(_ program: String, _ secrets: JSON) throws -> HTTPAnswer {
            let run = Run(["python3", "-c", program], profile: "net", ["secrets": secrets])
            return try daemon.api.post(try run.json.bytes)
        }
    }

    @Test("as a file it is there for the job alone, and nowhere else")
    func file() throws {
        let scene = try Scene()
        let answer = try scene.run(
            """
            import os
            path = '/workspace/.secrets/token'
            print(len(open(path).read()), oct(os.stat(path).st_mode & 0o777))
            """,
            [["name": "token"]]
        )
        let report = Report(json: try answer.json)
        #expect(report.text == "22 0o400", "\(answer.text)")
        #expect(!answer.text.contains(Self.secret) && !scene.daemon.log.contains(Self.secret))
        scene.daemon.stop()
    }

    @Test("in a header only the server sees it")
    func header() throws {
        let scene = try Scene()
        let port = scene.server.port
        let answer = try scene.run(
            """
            import urllib.request, os
            url = 'http://site.test:\(port)/header/X-Token'
            print(len(urllib.request.urlopen(url).read()))
            print(os.path.exists('/workspace/.secrets'))
            """,
            [["name": "token", "header": "X-Token", "to": .string("site.test:\(port)")]]
        )
        let report = Report(json: try answer.json)
        #expect(report.text == "21\nFalse", "\(answer.text)")
        scene.daemon.stop()
    }

    @Test(
        "a plain request of the job's goes on over TLS, with the secret that only the server sees"
    )
    func overTLS() throws {
        let scene = try Scene("site")
        let port = scene.server.port
        let answer = try scene.run(
            """
            import urllib.request
            url = 'http://site.test:\(port)/'
            print(len(urllib.request.urlopen(url + 'header/X-Token').read()))
            print(urllib.request.urlopen(url).read().decode())
            """,
            [["name": "token", "header": "X-Token", "to": .string("https://site.test:\(port)")]]
        )
        let report = Report(json: try answer.json)
        #expect(report.text == "21\nhost site.test:\(port), from 127.0.0.1", "\(answer.text)")
        let line = try #require(report.json["network"]?.elements.first)
        #expect(line["allowed"]?.bool == true && line["count"]?.int == 2)
        #expect(!answer.text.contains(Self.secret) && !scene.daemon.log.contains(Self.secret))
        scene.daemon.stop()
    }

    @Test(
        "a server that does not prove who it is gets nothing, and the run is told why",
        arguments: [
            ("expired", "has expired"), ("other", "for another host"),
            ("address", "for another host"), ("selfmade", "no authority"),
            (nil, "handshake failed"),
        ]
    )
    func untrusted(certificate: String?, why: String) throws {
        let scene = try Scene(certificate)
        let port = scene.server.port
        let answer = try scene.run(
            """
            import urllib.error, urllib.request
            try: print(urllib.request.urlopen('http://site.test:\(port)/').read())
            except urllib.error.HTTPError as e: print(e.code, e.read().decode())
            """,
            [["name": "token", "header": "X-Token", "to": .string("https://site.test:\(port)")]]
        )
        let report = Report(json: try answer.json)
        #expect(report.text.hasPrefix("502 sandboxd: site.test"), "\(answer.text)")
        #expect(report.text.contains(why), "\(report.text)")
        let lines = report.json["network"]?.elements ?? []
        #expect(
            lines.contains {
                $0["allowed"]?.bool == false && $0["reason"]?.text?.contains(why) == true
            },
            "\(lines)"
        )
        #expect(!answer.text.contains(Self.secret) && !scene.daemon.log.contains(Self.secret))
        scene.daemon.stop()
    }

    @Test("what cannot be given is refused before the start, by its name, and never told")
    func refused() throws {
        let scene = try Scene()
        let place = "site.test:\(scene.server.port)"
        let cases: [(secrets: JSON, status: Int, words: String)] = [
            ([["name": "unlisted"]], 400, "'unlisted'"),
            ([["name": "../token"]], 400, "'../token'"),
            ([["name": "missing"]], 503, "No such file"),
            ([["name": "open"]], 503, "others may use it"),
            ([["name": "lines", "header": "X", "to": .string(place)]], 503, "line breaks"),
            ([["name": "token", "header": "X", "to": "other.test:80"]], 400, "may not reach"),
            ([["name": "token", "header": "Host", "to": .string(place)]], 400, "no header"),
            ([["name": "token", "header": "X"]], 400, "both"),
            ([["name": "token"], ["name": "token"]], 400, "twice"),
            (
                [["name": "token", "header": "X", "to": "https://site.test"]], 400,
                "port is missing"
            ),
            ([["name": "token", "header": "X", "to": "ftp://site.test:21"]], 400, "names no host"),
            (
                [
                    ["name": "token", "header": "X", "to": .string(place)],
                    ["name": "open", "header": "x", "to": .string(place)],
                ], 400, "two are for x"
            ),
            (
                [
                    ["name": "token", "header": "X", "to": .string(place)],
                    ["name": "token", "header": "Y", "to": .string("https://" + place)],
                ], 400, "with https:// and without"
            ),
        ]
        for (secrets, status, words) in cases {
            let answer = try scene.run("print('ran')", secrets)
            #expect(answer.status == status && answer.text.contains(words), "\(answer.text)")
            #expect(!answer.text.contains(Self.secret))
        }
        let other = Run(["true"], ["secrets": [["name": "token"]]])
        #expect(try scene.daemon.api.post(try other.json.bytes).status == 400)
        scene.daemon.stop()
    }
}
