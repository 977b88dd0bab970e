// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// One thing that goes wrong between the daemon and its container engine.
struct EngineFault: Sendable, CustomTestStringConvertible {
    let fact: String
    let call: FaultyEngine.Call
    let fault: FaultyEngine.Fault
    /// The evidence's step; nil when the run itself is not touched, and its receipt is.
    let step: String?
    /// Words of the evidence's reason.
    let says: String
    var testDescription: String { fact }

    private init(
        _ fact: String,
        _ method: String,
        _ path: String,
        _ fault: FaultyEngine.Fault,
        step: String?,
        says: String = ""
    ) {
        self.fact = fact
        self.says = says
        call = FaultyEngine.Call(method: method, path: path)
        self.fault = fault
        self.step = step
    }

    private static let failure = FaultyEngine.Fault.answer(
        status: 500,
        body: "{\"message\":\"no space left on device\"}"
    )

    private static func create(
        _ fact: String,
        _ fault: FaultyEngine.Fault,
        step: String = "docker create",
        says: String = ""
    ) -> EngineFault {
        .init("create: " + fact, "POST", "/containers/create", fault, step: step, says: says)
    }

    private static func inspect(_ fact: String, _ fault: FaultyEngine.Fault) -> EngineFault {
        .init("inspect: " + fact, "GET", "/containers/[0-9a-f]{64}/json", fault, step: nil)
    }

    /// A program of the image that connects where init should, and waits.
    private static let impostor = """
        "Entrypoint":["/usr/bin/python3","-c","import socket,time\\ns=socket.socket(1,5)\\n\
        s.connect('/.sandboxd/control')\\ntime.sleep(60)"]
        """

    private static func start(_ fact: String, _ fault: FaultyEngine.Fault) -> EngineFault {
        .init("start: " + fact, "POST", "/start", fault, step: "docker start")
    }

    private static func remove(_ fact: String, _ fault: FaultyEngine.Fault) -> EngineFault {
        .init("remove: " + fact, "DELETE", "/containers/", fault, step: nil)
    }

    static let all: [EngineFault] = [
        create("the connection is lost before it", .drop),
        create("done, and nobody says so", .dropAnswer),
        create("never answered", .hang),
        create("done, and never answered", .hangAnswer),
        create("it fails", failure),
        create("what answers is no engine", .garbage),
        create("the name is taken by an earlier one", .twice, says: "name"),
        create(
            "the container ends before init speaks",
            .edit(from: #""Cmd":["container""#, to: #""Cmd":["containex""#),
            step: "docker start",
            says: "ended before sandboxd-init spoke"
        ),
        create(
            "something else is in the place of init",
            .edit(from: #""Entrypoint":["/.sandboxd/init"]"#, to: impostor),
            step: "docker connect"
        ),
        start("the connection is lost before it", .drop),
        start("done, and nobody says so", .dropAnswer),
        start("never answered", .hang),
        start("done, and never answered", .hangAnswer),
        start("it fails", failure),
        start("said to be done, and not done", .answer(status: 204, body: "")),
        remove("the connection is lost before it", .drop),
        remove("done, and nobody says so", .dropAnswer),
        remove("never answered", .hang),
        remove("it fails", failure),
        inspect("it fails", failure),
        inspect("never answered", .hang),
        .init(
            "the images cannot be listed",
            "GET",
            "/images/json",
            failure,
            step: "docker image list"
        ),
        .init(
            "the images are never listed",
            "GET",
            "/images/json",
            .hang,
            step: "docker image list"
        ),
        .init(
            "the image is not there",
            "GET",
            "/images/json",
            .answer(status: 200, body: "[]"),
            step: "docker image",
            says: "load it with 'sandboxd image load'"
        ),
        .init(
            "the image that is there has another digest",
            "GET",
            "/images/json",
            .answer(
                status: 200,
                body: """
                    [{"Id":"sha256:\(String(repeating: "1", count: 64))","RepoTags":null,"Size":1,
                    "Labels":{"io.sandboxd.image":"sha256:\(String(repeating: "2", count: 64))"}}]
                    """
            ),
            step: "docker image",
            says: "load it with 'sandboxd image load'"
        ),
    ]
}

@Suite("A container engine that fails", .containerEngine, .alone, .serialized)
struct EngineFaultTests {
    /// What gives a daemon profiles that may run on the native engine, too.
    private var bothEngines: [String] {
        get throws { ["--profiles", try Installation.shared.get().shippedProfiles] }
    }

    /// A daemon whose engine is the real one behind a proxy of ours, and that has found it.
    private static func daemon(
        _ options: [String] = [],
        before: (FaultyEngine) throws -> Void = { _ in },
        isReady: Bool = true
    ) throws -> (TestDaemon, FaultyEngine) {
        let directory = try Installation.shared.get().makeDirectory()
        let socket = try #require(Host.engineSocket)
        let proxy = try FaultyEngine(in: directory, before: socket)
        try before(proxy)
        let daemon = try TestDaemon(
            ["--docker", "unix://" + proxy.socket, "--docker-timeout", "\(4 * Host.slowness)"]
                + options,
            directory: directory
        )
        if isReady { try daemon.waitUntilEngineIsReady() }
        return (daemon, proxy)
    }

    @Test(
        "whatever goes wrong is said by its step, and nothing is left of it",
        arguments: EngineFault.all
    )
    func fault(_ fault: EngineFault) throws {
        let (daemon, proxy) = try Self.daemon()
        let report: Report
        if fault.step == nil {
            // The job is there before the fault, which its beginning might meet otherwise.
            let run = Run.shell("echo ran; cat", ["stdin_stream": true])
            let live = try LiveRun(streaming: daemon.api, run)
            try live.waits(for: "ran")
            try proxy.hit(fault.call, with: fault.fault)
            try live.endInput()
            report = try live.report()
        } else {
            try proxy.hit(fault.call, with: fault.fault)
            report = try daemon.api.run(Run(["echo", "ran"]))
        }
        #expect(proxy.hits > 0)
        if let step = fault.step {
            #expect(report.verdict == "engine_error", "\(report.json)")
            #expect(report.json["evidence"]?["step"]?.text == step, "\(report.json)")
            let reason = report.json["evidence"]?["reason"]?.text ?? ""
            #expect(fault.says.isEmpty || reason.contains(fault.says), "\(report.json)")
            #expect(report.stdout.isEmpty)
        } else {
            #expect(report.verdict == "ok", "\(report.json)")
            #expect(report.json["receipt"]?["clean"]?.bool == false)
            #expect(report.json["receipt"]?["container_removed"]?.bool == false)
        }
        if fault.fault == .answer(status: 500, body: "{\"message\":\"no space left on device\"}") {
            #expect("\(report.json)".contains("no space left on device"), "\(report.json)")
        }
        proxy.heal()
        try daemon.recovers()
        daemon.stop()
    }

    @Test("an engine that does not work is left alone for a while; others run meanwhile")
    func circuit() throws {
        let (daemon, proxy) = try Self.daemon(try bothEngines)
        let run = Run(["true"], ["engine": "docker"])
        try proxy.hit(.init(method: "POST", path: "/containers/create"), with: .drop)
        #expect(try daemon.api.run(run).verdict == "engine_error")
        let docker = try #require(try daemon.api.status()["docker"])
        #expect(docker["ready"]?.bool == false)
        #expect(docker["reason"]?.text?.hasPrefix("docker create") == true, "\(docker)")
        let refused = try daemon.api.post(try run.json.bytes)
        #expect(refused.status == 503, "\(refused.text)")
        #expect(try refused.json["error"]?["code"]?.text == "engine")
        let native = try daemon.api.run(Run(["true"], ["engine": "native"]))
        #expect(native.verdict == "ok" && native.json["engine"]?.text == "native")
        proxy.heal()
        try daemon.recovers()
        daemon.stop()
    }

    @Test(
        "an engine that must not be used is refused, with the reason in the status",
        arguments: [
            ("/info", 200, #"{"SecurityOptions":["name=seccomp"]}"#, "runs as root"),
            ("/info", 200, #"{"SecurityOptions":["name=rootless"]}"#, "filter system calls"),
            ("/info", 200, #"{"SecurityOptions":7}"#, "SecurityOptions"),
            ("/info", 200, "[]", "docker info"),
            ("/info", 500, "{}", "docker info"),
            ("/version", 500, "{}", "docker version"),
            (
                "/version", 200,
                #"{"Version":"19","ApiVersion":"1.40","MinAPIVersion":"1.12"}"#, "1.40"
            ),
            (
                "/version", 200,
                #"{"Version":"99","ApiVersion":"1.99","MinAPIVersion":"1.90"}"#, "1.90"
            ),
            ("/_ping", 500, "{}", "500"),
        ] as [(String, Int, String, String)]
    )
    func refused(path: String, status: Int, body: String, reason: String) throws {
        let (daemon, proxy) = try Self.daemon(
            before: {
                try $0.hit(
                    .init(method: "GET", path: path),
                    with: .answer(status: status, body: body)
                )
            },
            isReady: false
        )
        let isRefused = try Host.waits(upTo: .seconds(20)) {
            let docker = try daemon.api.status()["docker"]
            return docker?["ready"]?.bool == false
                && docker?["reason"]?.text?.contains(reason) == true
        }
        #expect(isRefused && proxy.hits > 0, "\(daemon.statusText)")
        let refused = try daemon.api.post(try Run(["true"]).json.bytes)
        #expect(refused.status == 503, "\(refused.text)")
        proxy.heal()
        try daemon.waitUntilEngineIsReady()
        daemon.stop()
    }

    @Test("an image that was removed and loaded again is found, by its new id")
    func imageMoved() throws {
        let (daemon, proxy) = try Self.daemon()
        #expect(try daemon.api.run(Run(["true"])).verdict == "ok")
        // As an engine answers for an image that is not there any more.
        try proxy.hit(
            .init(method: "POST", path: "/containers/create"),
            with: .answer(status: 404, body: #"{"message":"no such image"}"#)
        )
        #expect(try daemon.api.run(Run(["true"])).verdict == "engine_error")
        proxy.heal()
        try daemon.waitUntilEngineIsReady()
        // It is looked up again, and not asked for by the id of before.
        try proxy.hit(.init(method: "GET", path: "/images/json"), with: .drop)
        #expect(try daemon.api.run(Run(["true"])).verdict == "engine_error")
        #expect(proxy.hits > 0)
        proxy.heal()
        try daemon.recovers()
        daemon.stop()
    }

    @Test("what another node has on the same engine is left alone, whatever the engine lists")
    func neighbours() throws {
        let (daemon, proxy) = try Self.daemon()
        let engine = API(socket: try #require(Host.engineSocket))
        let image = try #require(
            try engine.answer("GET", "/v1.41/images/json").json.elements.first {
                $0["Labels"]?["io.sandboxd.image"] != nil
            }?["Id"]?.text
        )
        var made: [String] = []
        for labels in [#"{"io.sandboxd.node":"another"}"#, "{}"] {
            let body = #"{"Image":"\#(image)","Cmd":["true"],"Labels":\#(labels)}"#
            let answer = try engine.answer(
                "POST",
                "/v1.41/containers/create",
                headers: ["Content-Type": "application/json"],
                body: Array(body.utf8)
            )
            made.append(try #require(try answer.json["Id"]?.text, "\(answer.text)"))
        }
        defer {
            for id in made { _ = try? engine.answer("DELETE", "/v1.41/containers/\(id)?force=1") }
        }
        // An engine that passes over the filter: it lists all that there is as if it were ours.
        let all = try engine.answer("GET", "/v1.41/containers/json?all=1").text
        try proxy.hit(
            .init(method: "GET", path: "/containers/json"),
            with: .answer(status: 200, body: all)
        )
        // The reaper looks every three seconds, and removes what two looks have seen.
        #expect(Host.waits(upTo: .seconds(30)) { proxy.hits >= 4 })
        for id in made {
            let answer = try engine.answer("GET", "/v1.41/containers/\(id)/json")
            #expect(answer.status == 200, "\(answer.text)")
        }
        #expect(try daemon.leaks().isEmpty)
        proxy.heal()
        try daemon.recovers()
        daemon.stop()
    }

    @Test("an engine that cannot be asked is no clean one: what it has is unknown")
    func unknown() throws {
        let (daemon, proxy) = try Self.daemon()
        try proxy.hit(.init(method: "GET", path: "/containers/json"), with: .drop)
        let leaks = try daemon.leaks()
        #expect(leaks.map { $0["kind"]?.text } == ["unknown"], "\(leaks)")
        #expect(leaks.first?["name"]?.text?.contains("docker") == true, "\(leaks)")
        proxy.heal()
        try daemon.recovers()
        daemon.stop()
    }

    @Test("without an engine at the socket the daemon serves, and says so")
    func absent() throws {
        let directory = try Installation.shared.get().makeDirectory()
        let daemon = try TestDaemon(
            ["--docker", "unix://" + directory + "/nobody"] + (try bothEngines),
            directory: directory
        )
        let isSaid = try Host.waits(upTo: .seconds(10)) {
            try daemon.api.status()["docker"]?["reason"]?.text?.contains("/nobody") == true
        }
        #expect(isSaid, "\(daemon.statusText)")
        let run = Run(["true"], ["engine": "docker"])
        let refused = try daemon.api.post(try run.json.bytes)
        #expect(refused.status == 503 && refused.text.contains("/nobody"), "\(refused.text)")
        #expect(try daemon.api.run(Run(["true"], ["engine": "native"])).verdict == "ok")
        daemon.stop()
    }

    @Test("what a container's own filter hides is refused, and not told in part")
    func explaining() throws {
        let answer = try Host.daemon().post(Run(["true"], ["explain": "denied"]).json.bytes)
        #expect(answer.status == 400 && answer.text.contains("native engine"), "\(answer.text)")
    }

    @Test("a job finds neither the daemon's socket nor the program that it came by")
    func stage() throws {
        let report = try Host.daemon().run(
            .python(
                """
                import os, socket
                for path in ['/.sandboxd', '/.sandboxd/control', '/.sandboxd/init']:
                    try: print(path, os.listdir(path))
                    except OSError as e: print(path, e.strerror)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                try: s.connect('/.sandboxd/control')
                except OSError as e: print(e.strerror)
                """
            )
        )
        #expect(
            report.text == """
                /.sandboxd Permission denied
                /.sandboxd/control No such file or directory
                /.sandboxd/init No such file or directory
                No such file or directory
                """,
            "\(report.text)"
        )
    }
}
