// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Chromium's own sandbox, seen from inside of ours.
@Suite("Renderers", .daemon, .browser, .beside, .timeLimit(Host.minutes(5)))
struct RendererJailTests {
    /// What is wrong with the jail of a renderer; nothing when it is in one.
    private func objections(_ renderer: JSON) -> [String] {
        var objections: [String] = []
        let own = (renderer["own"]?.elements ?? []).compactMap(\.text)
        if own != ["user", "pid", "net"] { objections.append("namespaces of its own: \(own)") }
        if renderer["seccomp"]?.int != 2 { objections.append("no filter") }
        if (renderer["filters"]?.int ?? 0) < 1 { objections.append("no filter of its own") }
        let depth = renderer["pid_depth"]?.int ?? 0
        if depth < 3 { objections.append("no PID namespace of its own") }
        if renderer["no_new_privs"]?.int != 1 { objections.append("may gain privileges") }
        if renderer["capabilities"]?.text != "0000000000000000" { objections.append("privileges") }
        if renderer["sees_root"]?.bool != false { objections.append("sees the image") }
        if renderer["no_sandbox"]?.bool != false { objections.append("was told --no-sandbox") }
        return objections
    }

    private func renderers(_ words: [String]) throws -> [JSON] {
        let report = try Host.daemon().run(try Browser.besideSite(["python3", "jail.py"] + words))
        #expect(report.verdict == "ok", "\(report.json)")
        try #require(!report.lines.isEmpty, "no renderer was found")
        return report.lines
    }

    @Test(
        "a renderer has namespaces, an empty root and a filter of its own, whatever a script says",
        arguments: [[], ["/usr/local/bin/chromium", "--no-sandbox", "--no-zygote"]]
    )
    func jailed(_ words: [String]) throws {
        for renderer in try renderers(words) { #expect(objections(renderer) == []) }
    }

    @Test("the same look at Chromium without its sandbox objects to everything")
    func control() throws {
        for renderer in try renderers(["/usr/lib/chromium/chromium-headless-shell"]) {
            #expect(
                objections(renderer) == [
                    "namespaces of its own: []", "no filter of its own",
                    "no PID namespace of its own", "sees the image", "was told --no-sandbox",
                ]
            )
        }
    }

    @Test("without nested namespaces Chromium does not start, rather than without its sandbox")
    func failsClosed() throws {
        // The same image under a filter of the job's own that refuses new namespaces.
        let program = """
            import ctypes, os, struct
            libc = ctypes.CDLL(None, use_errno=True)
            # clone (56) with CLONE_NEWUSER: EPERM
            code = [(0x20, 0, 0, 0), (0x15, 0, 3, 56), (0x20, 0, 0, 16), (0x45, 0, 1, 0x10000000),
                    (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
            filter = b"".join(struct.pack("HBBI", *one) for one in code)
            held = ctypes.create_string_buffer(filter)
            program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(held))
            assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
            os.execvp("browse", ["browse", "text", "about:blank"])
            """
        let report = try Host.daemon().run(
            Run(["python3", "-c", program], profile: "browser")
        )
        #expect(report.exitCode == 1, "\(report.json)")
        let error = report.lines.first?["error"]?.text ?? ""
        #expect(error.contains("No usable sandbox"), "\(error)")
    }

    @Test("no renderer and no zombie is left of a job, however it ends", .root)
    func nothingLeft() throws {
        let api = try Host.daemon()
        let endings: [(String, [String: JSON], String)] = [
            ("browse text form.html", [:], "ok"),
            ("browse screenshot http://127.0.0.1:8000/never", ["wall_time_ms": 3000], "wall_time"),
            ("browse text form.html & sleep 1; kill -KILL $$", [:], "signal"),
        ]
        for (script, limits, verdict) in endings {
            let mark = Sandboxes.mark()
            let run = try Browser.besideSite(
                ["sh", "-c", "exec 2>&1; " + script],
                [
                    "env": ["MARK": .string(mark)]
                ]
            )
            let report = try api.run(limits.isEmpty ? run : run.limited(limits))
            // The server ends with its command's status, which the shell's signal is not.
            if verdict != "signal" { #expect(report.verdict == verdict, "\(report.json)") }
            #expect(report.isClean, "\(report.json["receipt"] ?? .null)")
            #expect(Sandboxes.processes(marked: mark).isEmpty)
        }
    }
}
