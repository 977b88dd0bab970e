// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import Policy
import Testing

@testable import Egress

/// A server that hears everything which comes within a moment, and then answers.
private final class Listener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let heard: NIOLockedValueBox<[UInt8]>
    private var isFirst = true

    init(_ heard: NIOLockedValueBox<[UInt8]>) { self.heard = heard }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        heard.withLockedValue { $0 += Array(buffer: bytes) }
        guard isFirst else { return }
        isFirst = false
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .milliseconds(200)) {
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            channel.writeAndFlush(answer).whenComplete { _ in channel.close(promise: nil) }
        }
    }
}

@Suite("The proxy among others' faults", .serialized, .timeLimit(.minutes(2)))
struct FaultTests {
    private static func get(
        _ site: TestSite,
        _ path: String = "/",
        host: String = "site.test"
    )
        -> String
    {
        "GET http://\(host):\(site.port)\(path) HTTP/1.1\r\n\r\n"
    }

    /// A name server that has been killed, or never was there: it is asked, and nothing comes.
    private struct NobodyAnswers: NameResolver {
        func addresses(
            of name: String,
            by deadline: NIODeadline,
            on eventLoop: any EventLoop
        ) -> EventLoopFuture<[IPAddress]> {
            let never = eventLoop.makePromise(of: [IPAddress].self)
            // Long after everybody has given up.
            eventLoop.scheduleTask(deadline: deadline + .milliseconds(500)) { never.succeed([]) }
            return never.futureResult
        }
    }

    @Test(
        "a client that says a byte now and then is cut when its time is over",
        arguments: [
            "GET http://site.test/ HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 100),
            "\u{5}\u{1}\0\u{5}\u{1}\0\u{3}\u{7f}" + String(repeating: "a", count: 120),
        ]
    )
    func slowHead(head: String) async throws {
        var patience = Patience()
        patience.head = .milliseconds(400)
        try await TestSite.with(patience: patience) { site in
            let start = NIODeadline.now()
            let sent = try await site.open().drip(Array(head.utf8), every: .milliseconds(20))
            let took = NIODeadline.now() - start
            #expect(sent > 2 && sent < head.utf8.count, "\(sent) bytes")
            #expect(took >= .milliseconds(400) && took < .seconds(5), "\(took)")
            #expect(site.seen.withLockedValue { $0.isEmpty })
            #expect(try await site.talk(Self.get(site)).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("a name that nobody answers for is given up on time, with a 504 that says so")
    func unanswered() async throws {
        var patience = Patience()
        patience.resolving = .milliseconds(200)
        try await TestSite.with(
            rules: ["site.test:*", "127.0.0.1:*"],
            resolver: NobodyAnswers(),
            patience: patience
        ) { site in
            async let connect = site.talk("CONNECT site.test:\(site.port) HTTP/1.1\r\n\r\n")
            let plain = try await site.talk(Self.get(site))
            for answer in [plain, try await connect] {
                #expect(answer.hasPrefix("HTTP/1.1 504"), "\(answer)")
                #expect(answer.contains("site.test cannot be resolved: no answer within 0.2 s"))
            }
            let line = try #require(site.ledger.lines.first)
            #expect(line.count == 2 && line.reason?.contains("no answer") == true, "\(line)")
            #expect(
                try await site.talk(Self.get(site, host: "127.0.0.1")).hasPrefix("HTTP/1.1 200")
            )
        }
    }

    @Test("an attempt whose names hang has a few threads, and others have theirs")
    func hangingNames() async throws {
        let (mayEnd, going, most) = (
            ConditionLock(value: 0), NIOLockedValueBox(0), NIOLockedValueBox(0)
        )
        let loop = TestSite.group.next()
        let areGoing = loop.makePromise(of: Void.self)
        let hanging = SystemResolver { _ in
            let now = going.withLockedValue { count in
                count += 1
                return count
            }
            most.withLockedValue { $0 = max($0, now) }
            if now == SystemResolver.atOnceMax { areGoing.succeed() }
            mayEnd.lock(whenValue: 1)
            mayEnd.unlock()
            going.withLockedValue { $0 -= 1 }
            return []
        }
        let late = NIODeadline.now() + .seconds(60)
        let lookups = (0..<50).map { hanging.addresses(of: "h\($0).test", by: late, on: loop) }
        // Its turn comes when nobody waits for it any more.
        let stale = hanging.addresses(of: "stale.test", by: .now(), on: loop)
        try await areGoing.futureResult.get()
        let here = try #require(IPAddress(v4: "127.0.0.1"))
        let other = SystemResolver { _ in [here] }
        #expect(try await other.addresses(of: "a.test", by: late, on: loop).get() == [here])
        mayEnd.lock()
        mayEnd.unlock(withValue: 1)
        for lookup in lookups { #expect(try await lookup.get().isEmpty) }
        await #expect(throws: EgressRefusal.self) { try await stale.get() }
        #expect(most.withLockedValue { $0 } == SystemResolver.atOnceMax)
    }

    @Test("this host's resolver knows its own names")
    func system() async throws {
        let here = try await SystemResolver()
            .addresses(of: "localhost", by: .now() + .seconds(30), on: TestSite.group.next()).get()
        #expect(!here.isEmpty && here.allSatisfy { $0.unreachable == "loopback" || $0.isV6 })
    }

    /// glibc would ask for `api.vendor.com.corp.example` first, where the host's settings say so.
    @Test(
        "a name with dots is asked for as it is, whatever this host's search list",
        arguments: [
            ("api.vendor.com", "api.vendor.com."), ("localhost", "localhost"), ("db", "db"),
            ("vendor.com", "vendor.com."), ("comment.test", "comment.test."),
            ("bad.test", "bad.test."), ("off.test", "off.test."), ("pinned.test", nil),
            ("other.test", nil),
        ] as [(String, String?)]
    )
    func wholeName(name: String, question: String?) throws {
        let hosts = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        // What stays in a temporary directory harms nobody.
        defer { try? FileManager.default.removeItem(at: hosts) }
        let text = """
            127.0.0.1 localhost
            #10.9.9.9 off.test
            10.1.2.3\tpinned.test  Other.Test # comment.test
            fe80::1%lo bad.test
            fd00::5 api.vendor.com.corp.example pinned.test other.test
            """
        try text.write(to: hosts, atomically: true, encoding: .utf8)
        let asked = NIOLockedValueBox<[String]>([])
        let found = try SystemResolver.lookUp(name, hosts: hosts.path) { question in
            asked.withLockedValue { $0.append(question) }
            return []
        }
        #expect(asked.withLockedValue { $0 } == [question].compactMap { $0 })
        let written = question == nil ? ["10.1.2.3", "fd00::5"] : []
        #expect(found.map { "\($0)" } == written)
        // Without such a file, nothing is written down.
        _ = try SystemResolver.lookUp(name, hosts: "/nonexistent") { question in
            #expect(question == (name.contains(".") ? name + "." : name))
            return []
        }
    }

    @Test("an address that does not answer is no hindrance when the next one does")
    func nextAddress() async throws {
        try await TestSite.with(
            names: ["site.test": ["127.0.0.2", "127.0.0.1"]],
            exceptions: ["127.0.0.0/8"]
        ) {
            site in
            let plain = try await site.talk(Self.get(site))
            #expect(plain.contains("hello /"), "\(plain)")
            let tunnel = try await site.talk(
                "CONNECT site.test:\(site.port) HTTP/1.1\r\n\r\n"
                    + "GET /tunnel HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
            )
            #expect(tunnel.contains("hello /tunnel"), "\(tunnel)")
        }
    }

    @Test("a request behind the first is not sent on: nobody has looked at it")
    func pipelined() async throws {
        let heard = NIOLockedValueBox<[UInt8]>([])
        let server = try await ServerBootstrap(group: TestSite.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Listener(heard))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        try await TestSite.with { site in
            let answer = try await site.talk(
                "GET http://site.test:\(port)/first HTTP/1.1\r\n\r\n"
                    + "GET /second HTTP/1.1\r\nHost: other.test\r\n\r\n"
            )
            #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
        }
        let text = String(decoding: heard.withLockedValue { $0 }, as: UTF8.self)
        #expect(text.hasPrefix("GET /first") && !text.contains("second"), "\(text)")
        try await server.close()
    }

    @Test("a head without an end is refused, also a server's")
    func endlessHead() async throws {
        let line = "X: " + String(repeating: "x", count: 1 << 20)
        try await TestSite.with { site in
            let answer = try await site.talk(
                "GET http://site.test:\(site.port)/ HTTP/1.1\r\n" + line
            )
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400"), "\(answer)")
            #expect(site.seen.withLockedValue { $0.isEmpty })
            let back = try await site.talk(Self.get(site, "/head"))
            #expect(back.hasPrefix("HTTP/1.1 502"), "\(back.prefix(200))")
            #expect(back.contains("without an answer"), "\(back.prefix(200))")
        }
    }

    @Test("when the run is over, so is what it was connecting to")
    func stopped() async throws {
        let ended = TestSite.group.next().makePromise(of: Void.self)
        let reached = TestSite.group.next().makePromise(of: Void.self)
        // It accepts, and does not shake hands.
        let server = try await ServerBootstrap(group: TestSite.group)
            .childChannelInitializer { channel in
                reached.succeed()
                channel.closeFuture.cascade(to: ended)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let trust = try ServerTLS()
        try await TestSite.with(headers: { _ in
            let place = Authority(host: .name("site.test"), port: UInt16(port))
            return [HeaderRule(place: place, name: "X", value: "y", tls: trust)]
        }) { site in
            async let answer = site.talk("GET http://site.test:\(port)/ HTTP/1.1\r\n\r\n")
            try await reached.futureResult.get()
            let start = NIODeadline.now()
            await site.proxy.stop()
            try await ended.futureResult.get()
            #expect(NIODeadline.now() - start < .seconds(5))
            #expect(try await answer.isEmpty)
        }
        try await server.close()
    }

    @Test("ten thousand connections are too many, and who is there already notices nothing")
    func flood() async throws {
        try await TestSite.with { site in
            let early = try await site.open()
            let tunnel = "CONNECT site.test:\(site.port) HTTP/1.1\r\n\r\n"
            try await early.channel.writeAndFlush(ByteBuffer(string: tunnel))
            try await TestSite.with { other in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<10 {
                        group.addTask { try await Self.crowd(at: site, with: 1000) }
                    }
                    // Another run's proxy, on the same threads.
                    for _ in 0..<20 {
                        let answer = try await other.talk(Self.get(other))
                        #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
                    }
                    try await group.waitForAll()
                }
                #expect(other.ledger.lines.count == 1)
            }
            let answer = try await early.talk(
                Array("GET /early HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n".utf8)
            )
            #expect(String(decoding: answer, as: UTF8.self).contains("hello /early"))
            let line = try #require(site.ledger.lines.first { $0.place.isEmpty })
            #expect(line.reason?.contains("connections") == true && line.count > 1000, "\(line)")
        }
    }

    /// Opens so many connections, a hundred at once.
    private static func crowd(at site: TestSite, with count: Int) async throws {
        for _ in 0..<(count / 100) {
            var open: [Conversation] = []
            for _ in 0..<100 {
                // One that is closed before it is made is one that was not taken.
                if let conversation = try? await site.open() { open.append(conversation) }
            }
            for conversation in open {
                try? await conversation.channel.close()
                _ = try await conversation.answer.get()
            }
        }
    }
}
