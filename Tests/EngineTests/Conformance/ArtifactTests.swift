// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Artifacts", .daemon, .beside)
struct ArtifactTests {
    private func names(_ report: Report) -> Set<String> {
        Set(report.artifacts.keys.map { String(decoding: $0, as: UTF8.self) })
    }

    @Test("regular files come out by digest, with size and mode")
    func regular() throws {
        let api = try Host.daemon()
        let report = try api.run(
            .shell(
                "cd out; printf hello > a; mkdir -p d/e; printf '\\000\\377' > d/e/b; chmod 750 a"
            )
        )
        #expect(names(report) == ["a", "d/e/b"])
        let a = try #require(report.artifacts[Array("a".utf8)])
        #expect(a["bytes"]?.int == 5)
        #expect(a["mode"]?.int == 0o750)
        let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        #expect(a["sha256"]?.text == digest)
        #expect(try api.artifact(digest) == Array("hello".utf8))
        let b = try #require(report.artifacts[Array("d/e/b".utf8)]?["sha256"]?.text)
        #expect(try api.artifact(b) == [0, 255])
    }

    @Test("what a failed or killed job left comes out too")
    func failed() throws {
        let api = try Host.daemon()
        #expect(try names(api.run(.shell("echo x > out/x; exit 3"))) == ["x"])
        let endless = Run.shell("echo x > out/x; exec yes")
        let report = try api.run(endless.limited(["output_total_bytes": 1_048_576]))
        #expect(report.verdict == "output" && names(report) == ["x"], "\(report.json)")
        let limit = JSON.number(2000 * Double(Host.slowness))
        let late = Run.shell("echo x > out/x; sleep 60").limited(["wall_time_ms": limit])
        #expect(try names(api.run(late)) == ["x"])
    }

    @Test("links, FIFOs and sockets are refused, by name and reason, and none is opened")
    func special() throws {
        let report = try Host.daemon().run(
            .python(
                """
                import os, socket
                os.chdir('out')
                os.symlink('/etc/passwd', 'absolute')
                os.symlink('../../etc/passwd', 'relative')
                os.symlink('loop', 'loop')
                os.symlink('/proc/self/root/etc', 'magic')
                os.mkfifo('fifo')
                socket.socket(socket.AF_UNIX).bind('socket')
                os.mkdir('empty')
                open('plain', 'w').close()
                """
            )
        )
        #expect(names(report) == ["plain"], "\(report.json)")
        let refused = report.refused
        for link in ["absolute", "relative", "loop", "magic"] {
            #expect(refused[Array(link.utf8)] == "symlink")
        }
        for other in ["fifo", "socket"] {
            #expect(refused[Array(other.utf8)] == "not_regular")
        }
    }

    @Test("a file called as a device is a file")
    func deviceNames() throws {
        let report = try Host.daemon().run(
            .shell("cd out; echo 1 > null; echo 2 > tty; echo 3 > CON")
        )
        #expect(names(report) == ["null", "tty", "CON"])
    }

    @Test("a sparse giant is refused by its size, at once")
    func sparse() throws {
        let report = try Host.daemon().run(.shell("truncate -s 200M out/giant; echo x > out/small"))
        #expect(names(report) == ["small"])
        #expect(report.refused[Array("giant".utf8)] == "bytes")
    }

    @Test("of two thousand files as many are kept as the cap says")
    func many() throws {
        let began = Host.milliseconds
        let report = try Host.daemon().run(
            .shell("cd out; i=0; while [ $i -lt 2000 ]; do : > f$i; i=$((i+1)); done")
        )
        #expect(report.verdict == "ok")
        #expect(report.artifacts.count == 64)
        #expect(Set(report.refused.values) == ["count"])
        #expect(Host.milliseconds - began < 15_000 * Host.slowness)
        #expect(report.isClean)
    }

    @Test("names are bytes: newlines, escapes and what is no UTF-8 come out as they are")
    func oddNames() throws {
        let report = try Host.daemon().run(
            .python(
                """
                import os
                os.chdir(b'out')
                for n in [b'new\\nline', b'\\x1b[31m', b'\\xff\\xfe', b'-rf', b'"quo\\\\te', b'n' * 255]:
                    open(n, 'wb').write(n)
                """
            )
        )
        let expected: Set<[UInt8]> = [
            Array("new\nline".utf8), Array("\u{1b}[31m".utf8), [255, 254], Array("-rf".utf8),
            Array("\"quo\\te".utf8), [UInt8](repeating: 110, count: 255),
        ]
        #expect(Set(report.artifacts.keys) == expected)
        for (name, artifact) in report.artifacts {
            let digest = try #require(artifact["sha256"]?.text)
            #expect(try Host.daemon().artifact(digest) == name)
        }
    }

    @Test("a file of mode 0000 in a directory of mode 0000 comes out: init may read it")
    func unreadable() throws {
        let report = try Host.daemon().run(
            .shell("mkdir out/d; echo x > out/d/f; echo y > out/g; chmod 0 out/d/f out/d out/g")
        )
        #expect(names(report) == ["d/f", "g"])
    }

    @Test(
        "where `out` was replaced, nothing comes out",
        arguments: [
            "rmdir out; ln -s /etc out", "rmdir out; ln -s /proc/self/root/etc out",
            "rmdir out; echo x > out", "rmdir out; mkfifo out", "rmdir out",
            "mv out elsewhere; echo x > elsewhere/x; ln -s elsewhere out",
        ]
    )
    func replaced(script: String) throws {
        let report = try Host.daemon().run(.shell(script))
        #expect(report.verdict == "ok")
        #expect(report.artifacts.isEmpty)
        #expect(report.isClean)
    }

    @Test("a thousand directories in each other end the search, not the run")
    func deep() throws {
        let report = try Host.daemon().run(
            .python(
                """
                import os
                os.chdir('out')
                for i in range(1000):
                    os.mkdir('d')
                    os.chdir('d')
                open('x', 'w').close()
                """
            )
        )
        #expect(report.verdict == "ok")
        #expect(report.artifacts.isEmpty)
        #expect(report.refused.values.contains("depth"))
    }

    @Test("what is not asked for is not collected")
    func notWanted() throws {
        let report = try Host.daemon().run(.shell("echo x > out/x", ["artifacts": false]))
        #expect(report.artifacts.isEmpty && report.refused.isEmpty)
    }

    @Test(
        "an artifact that is not there is 404, whatever its name",
        arguments: [
            String(repeating: "0", count: 64), "..", "x", String(repeating: "A", count: 64),
            "..%2flock", String(repeating: "a", count: 5000),
        ]
    )
    func missing(digest: String) throws {
        let answer = try Host.daemon().answer("GET", "/v1/artifacts/\(digest)")
        #expect(answer.status == 404)
    }
}
