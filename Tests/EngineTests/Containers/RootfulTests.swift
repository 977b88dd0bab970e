// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("An engine that runs as root", .rootfulEngine, .serialized)
struct RootfulTests {
    @Test("it is used when the operator allows it, and the status keeps saying so")
    func allowed() throws {
        let api = try Host.daemon()
        #expect(try api.run(Run(["true"])).verdict == "ok")
        let docker = try #require(try api.status()["docker"])
        #expect(docker["ready"]?.bool == true)
        #expect(docker["warning"]?.text?.contains("runs as root") == true, "\(docker)")
    }

    @Test("without that it is refused, with the reason and the mend")
    func refused() throws {
        let daemon = try TestDaemon(["--no-allow-rootful"])
        let isRefused = try Host.waits(upTo: .seconds(10)) {
            let reason = try daemon.api.status()["docker"]?["reason"]?.text ?? ""
            return reason.contains("runs as root") && reason.contains("--allow-rootful")
        }
        #expect(isRefused, "\(daemon.statusText)")
        #expect(try daemon.api.post(try Run(["true"]).json.bytes).status == 503)
        daemon.stop()
    }

    @Test("nothing in a container is root's, but process 1 until it has started")
    func users() throws {
        let mark = Sandboxes.mark()
        let live = try Host.daemon()
            .start(.shell("echo up; sleep 60", ["env": ["M": .string(mark)]]))
        try live.waits(for: "up")
        let job = try #require(Sandboxes.processes(marked: mark).first)
        let table = ProcessTable()
        var at = job
        var users: [UInt32] = []
        // Job, init, stem, process 1; then whatever started the container.
        for _ in 0..<4 {
            users.append(ProcessTable.user(at) ?? 0)
            at = table.entries[at]?.parent ?? 0
        }
        let user = try #require(Host.userID)
        #expect(Host.subordinateIDs.contains(users[0]) && Host.subordinateIDs.contains(users[1]))
        #expect(users[2...] == [user, user], "\(users)")
        live.cancel()
    }
}
