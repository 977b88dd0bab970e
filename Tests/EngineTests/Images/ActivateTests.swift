// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Images that move", .ownDaemon, .beside)
struct ActivateTests {
    @Test("an image that does well under its profile gets the name, and a rollback takes it back")
    func moving() throws {
        let images = try TestImages()
        defer { images.stop() }
        let first = try images.importing("first")
        #expect(try images.run().json["image_digest"]?.text == first)
        let second = try images.importing("good")
        // A candidate is nobody's image yet.
        #expect(try images.run().json["image_digest"]?.text == first)

        let words = try images.done("activate", TestImages.name)
        #expect(words.contains("stood the trial of profile 'probe'"), "\(words)")
        #expect(words.contains("moved from \(first.prefix(19)) to \(second.prefix(19))"))
        #expect(try images.run().json["image_digest"]?.text == second)
        #expect(try images.done("activate", TestImages.name, second).contains("is active already"))

        #expect(try images.done("rollback", TestImages.name).contains("moved back from"))
        #expect(try images.run("read word < /etc/word; echo $word").text == "first")
        try images.done("rollback", TestImages.name)
        #expect(try images.run().json["image_digest"]?.text == second)
    }

    @Test("an image that does not do well is refused with its own words, and nothing moves")
    func failing() throws {
        let images = try TestImages()
        defer { images.stop() }
        let first = try images.importing("first")
        let bad = try images.importing("bad", as: "other")
        for wanted in ["other", bad, String(bad.prefix(19))] {
            let ending = try images.command(["activate", TestImages.name, wanted])
            #expect(ending.exitCode == 125)
            #expect(ending.errorText.contains("the image does not do for profile 'probe'"))
            #expect(ending.errorText.contains("ended with exit 1"), "\(ending.errorText)")
            #expect(ending.errorText.contains("\n    it is bad\n"), "\(ending.errorText)")
        }
        #expect(try images.run().json["image_digest"]?.text == first)
        // And it is no candidate any more.
        let answer = try images.daemon.api.post(images.request("true", image: bad).json.bytes)
        #expect(answer.status == 400)
        let rollback = try images.command(["rollback", TestImages.name])
        #expect(rollback.exitCode == 125)
        #expect(rollback.errorText.contains("has no previous image"))
    }

    @Test(
        "whatever a trial ends with but well, it is refused",
        arguments: [
            (#"["no-such-program"]"#, "ended with"), (#"[sh, -c, "kill -9 $$"]"#, "signal 9"),
            (#"[sh, -c, "while :; do :; done"]"#, "time"), (#"[sh, -c, "exit 77"]"#, "exit 77"),
        ]
    )
    func endings(health: String, ending: String) throws {
        let images = try TestImages(health: health)
        defer { images.stop() }
        let first = try images.importing("first")
        try images.importing("second")
        let refused = try images.command(["activate", TestImages.name])
        #expect(refused.exitCode == 125)
        #expect(refused.errorText.contains(ending), "\(refused.errorText)")
        #expect(try images.run().json["image_digest"]?.text == first)
    }

    @Test("a run may be tried on the candidate and the previous image of its profile, on no other")
    func trialRuns() throws {
        let images = try TestImages()
        defer { images.stop() }
        let first = try images.importing("first")
        let second = try images.importing("good")
        let stranger = try images.importing("stranger", as: "stranger")
        let tell = "read word < /etc/word; echo $word"
        #expect(try images.run(tell, image: second).text == "good")
        #expect(try images.run(tell, image: second).json["image_digest"]?.text == second)
        #expect(try images.run(tell, image: first).text == "first")
        try images.done("activate", TestImages.name)
        #expect(try images.run(tell, image: first).text == "first")

        let none = "sha256:" + String(repeating: "0", count: 64)
        for wanted in [stranger, none, "stranger", String(second.prefix(19)), "../names", ""] {
            let request = images.request("true", image: wanted)
            let answer = try images.daemon.api.post(request.json.bytes)
            #expect(answer.status == 400, "\(wanted): \(answer.text)")
            #expect(answer.text.contains("neither the candidate nor the previous"), "\(wanted)")
        }
        var keyed = images.request("true", image: second).json
        if case .object(var members) = keyed {
            members["key"] = .string("once")
            keyed = .object(members)
        }
        #expect(try images.daemon.api.post(keyed.bytes).status == 400)
    }

    @Test("a run that goes on keeps its image, and no collection takes what anybody uses")
    func inUse() throws {
        let images = try TestImages(health: "[\"true\"]")
        let first = try images.importing("one")
        let run = try images.daemon.api.start(images.request("echo up; sleep 60"))
        try run.waits(for: "up")
        for word in ["two", "three"] {
            try images.importing(word)
            try images.done("activate", TestImages.name)
        }
        // The first is nobody's any more, but for the run.
        let words = try images.done("gc")
        #expect(words.contains("in use, kept: \(first)"), "\(words)")
        #expect(try images.digests().count == 3)
        run.cancel()
        images.stop()
        #expect(try images.done("gc", "--dry-run").contains("would remove: \(first)"))
        #expect(try images.done("gc").contains("removed: \(first)"))
        #expect(try !images.digests().contains(first))
        #expect(try images.digests().count == 2)
    }

    @Test("without a daemon, or a profile that names it, no image is activated")
    func untried() throws {
        let images = try TestImages()
        try images.importing("first", as: "unused")
        try images.importing("good", as: "unused")
        let ending = try images.command(["activate", "unused"])
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("names the image 'unused'"), "\(ending.errorText)")
        let missing = try images.command(["activate", "nothing", "unused"])
        #expect(missing.errorText.contains("image nothing is not in"), "\(missing.errorText)")
        images.stop()
        let alone = try images.command(["activate", "unused"])
        #expect(alone.exitCode == 125)
        #expect(alone.errorText.contains("no daemon answers"), "\(alone.errorText)")
    }

    @Test("a profile without its image is not ready, and says why")
    func readiness() throws {
        let images = try TestImages()
        defer { images.stop() }
        func profile() throws -> JSON? {
            try images.daemon.api.answer("GET", "/v1/profiles").json["profiles"]?.elements.first
        }
        #expect(try profile()?["ready"] == .bool(false))
        let reason = try #require(try profile()?["reason"]?.text)
        #expect(reason.contains("image probe is not in \(images.store)"), "\(reason)")
        try images.importing("first")
        #expect(try profile()?["ready"] == .bool(true))
        #expect(try profile()?["reason"] == .null)
        // To be asked is no use of it.
        try images.done("rm", TestImages.name)
        #expect(try profile()?["ready"] == .bool(false))
    }
}
