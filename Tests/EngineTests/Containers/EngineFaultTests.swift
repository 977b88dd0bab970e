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
    var testDescription: String { fact }

    private init(
        _ fact: String,
        _ method: String,
        _ path: String,
        _ fault: FaultyEngine.Fault,
        step: String?
    ) {
        self.fact = fact
        call = FaultyEngine.Call(method: method, path: path)
        self.fault = fault
        self.step = step
    }

    private static let failure = FaultyEngine.Fault.answer(
        status: 500,
        body: "{\"message\":\"no space left on device\"}"
    )

    private static func create(_ fact: String, _ fault: FaultyEngine.Fault) -> EngineFault {
        .init("create: " + fact, "POST", "/containers/create", fault, step: "docker create")
    }

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
        start("the connection is lost before it", .drop),
        start("done, and nobody says so", .dropAnswer),
        start("done, and never answered", .hangAnswer),
        start("it fails", failure),
        start("said to be done, and not done", .answer(status: 204, body: "")),
        remove("the connection is lost before it", .drop),
        remove("done, and nobody says so", .dropAnswer),
        remove("never answered", .hang),
        remove("it fails", failure),
        .init(
            "the images cannot be listed",
            "GET",
            "/images/json",
            failure,
            step: "docker image list"
        ),
    ]
}

@Suite("A container engine that fails", .containerEngine, .alone, .serialized)
struct EngineFaultTests {
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
            ["--docker", "unix://" + proxy.socket, "--docker-timeout", "4"] + options,
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
        try proxy.hit(fault.call, with: fault.fault)
        let report = try daemon.api.run(Run(["echo", "ran"]))
        #expect(proxy.hits > 0)
        if let step = fault.step {
            #expect(report.verdict == "engine_error", "\(report.json)")
            #expect(report.json["evidence"]?["step"]?.text == step, "\(report.json)")
            #expect(report.stdout.isEmpty)
        } else {
            #expect(report.verdict == "ok" && report.text == "ran", "\(report.json)")
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
        let (daemon, proxy) = try Self.daemon()
        try proxy.hit(.init(method: "POST", path: "/containers/create"), with: .drop)
        #expect(try daemon.api.run(Run(["true"])).verdict == "engine_error")
        let docker = try #require(try daemon.api.status()["docker"])
        #expect(docker["ready"]?.bool == false)
        #expect(docker["reason"]?.text?.hasPrefix("docker create") == true, "\(docker)")
        let refused = try daemon.api.post(try Run(["true"]).json.bytes)
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
            (#"{"SecurityOptions":["name=seccomp"]}"#, "runs as root"),
            (#"{"SecurityOptions":["name=rootless"]}"#, "filter system calls"),
            (#"{"SecurityOptions":7}"#, "SecurityOptions"),
            ("[]", "docker info"),
        ]
    )
    func refused(info: String, reason: String) throws {
        let (daemon, proxy) = try Self.daemon(
            before: {
                try $0.hit(
                    .init(method: "GET", path: "/info"),
                    with: .answer(status: 200, body: info)
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

    @Test("without an engine at the socket the daemon serves, and says so")
    func absent() throws {
        let directory = try Installation.shared.get().makeDirectory()
        let daemon = try TestDaemon(
            ["--docker", "unix://" + directory + "/nobody"],
            directory: directory
        )
        let isSaid = try Host.waits(upTo: .seconds(10)) {
            try daemon.api.status()["docker"]?["reason"]?.text?.contains("/nobody") == true
        }
        #expect(isSaid, "\(daemon.statusText)")
        let refused = try daemon.api.post(try Run(["true"]).json.bytes)
        #expect(refused.status == 503 && refused.text.contains("/nobody"), "\(refused.text)")
        #expect(try daemon.api.run(Run(["true"], ["engine": "native"])).verdict == "ok")
        daemon.stop()
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
