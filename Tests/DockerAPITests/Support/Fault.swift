// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

/// Something that a call meets instead of an answer, and what is to be said of it.
struct Fault: Sendable, CustomTestStringConvertible {
    let name: String
    let moves: [FakeEngine.Move]
    let limits: CallLimits
    let isRight: @Sendable (DockerError.Reason) -> Bool

    var testDescription: String { name }

    init(
        _ name: String,
        _ moves: [FakeEngine.Move],
        limits: CallLimits = Fault.patient,
        _ isRight: @escaping @Sendable (DockerError.Reason) -> Bool
    ) {
        self.name = name
        self.moves = moves
        self.limits = limits
        self.isRight = isRight
    }
}

/// The table.
extension Fault {
    /// With time enough: it must not be the deadline that ends it.
    static let patient = CallLimits(deadline: .seconds(30))

    private static func isNoEngine(_ reason: DockerError.Reason) -> Bool {
        if case .notAnEngine = reason { true } else { false }
    }

    private static func isLost(_ reason: DockerError.Reason) -> Bool {
        if case .lost = reason { true } else { false }
    }

    private static func isUnreadable(_ words: String) -> @Sendable (DockerError.Reason) -> Bool {
        { reason in
            if case .unreadable(let what) = reason { what.contains(words) } else { false }
        }
    }

    private static func isAnswered(
        _ status: Int,
        _ words: String
    ) -> @Sendable (DockerError.Reason) -> Bool {
        { $0 == .answered(status: status, words) }
    }

    private static func flood(_ text: String) -> FakeEngine.Move {
        .sendForever(Array(text.utf8))
    }

    /// Of the HTTP itself.
    static let ofTransport: [Fault] = [
        Fault("garbage", [.text("\u{1}\u{2}\u{7f}garbage\n\n"), .close], isNoEngine),
        Fault("garbage without end", [flood("garbage ")], isNoEngine),
        Fault("another protocol's greeting", [.text("SSH-2.0-OpenSSH_9\r\n"), .close], isNoEngine),
        Fault(
            "an HTTP that does not exist",
            [.text("HTTP/7.7 200 OK\r\n\r\n"), .close],
            isNoEngine
        ),
        Fault("header lines without end", head + [flood("X-More: and more\r\n")]) {
            $0 == .tooLarge(.header, limit: 64 << 10)
        },
        Fault("a header line without end", head + [flood("X-More")]) {
            $0 == .tooLarge(.header, limit: 64 << 10)
        },
        Fault(
            "interim answers without end",
            [flood("HTTP/1.1 100 Continue\r\n\r\n")]
        ) { $0 == .tooLarge(.header, limit: 64 << 10) },
        Fault("a body without end", head + [.text("\r\n"), flood("[1234567890,")]) {
            $0 == .tooLarge(.body, limit: 4 << 20)
        },
        Fault("10 MB", FakeAnswers.json(tenMegabytes)) {
            $0 == .tooLarge(.body, limit: 4 << 20)
        },
        Fault("a slow drip", [.drip(slowAnswer)], limits: .brief) {
            $0 == .late(after: .milliseconds(300))
        },
        Fault("no answer", [.hang], limits: .brief) { $0 == .late(after: .milliseconds(300)) },
        Fault("half a header, and nothing more", head + [.hang], limits: .brief) {
            $0 == .late(after: .milliseconds(300))
        },
        Fault("closed without an answer", [.close], isLost),
        Fault("closed after half a header", head + [.close], isLost),
        Fault(
            "closed after half a body",
            FakeAnswers.head("200 OK", ["Content-Length: 100"]) + [.text("{\"Id\":"), .close],
            isLost
        ),
        Fault(
            "closed after half a chunk",
            FakeAnswers.chunkedHead + [.text("ff\r\n{\"Id\":"), .close],
            isLost
        ),
        Fault(
            "a chunk whose size is none",
            FakeAnswers.chunkedHead + [.text("many\r\n{}\r\n"), .close],
            isLost
        ),
        Fault(
            "two lengths that differ",
            FakeAnswers.head("200 OK", ["Content-Length: 2", "Content-Length: -7"])
                + [.text("{}"), .close]
        ) { isNoEngine($0) || isLost($0) },
        Fault(
            "an upgrade that nobody wanted",
            FakeAnswers.head("101 Upgrade", []) + [.hang],
            limits: .brief
        ) {
            $0 == .late(after: .milliseconds(300)) || isAnswered(101, "")($0) || isNoEngine($0)
        },
    ]

    /// Of what the HTTP carries.
    static let ofContents: [Fault] = [
        Fault(
            "500 with words",
            FakeAnswers.json(#"{"message":"it\nhurts"}"#, status: "500 Oh"),
            isAnswered(500, "it\\nhurts")
        ),
        Fault(
            "500 with other JSON",
            FakeAnswers.json(#"{"cause":"x"}"#, status: "500 Oh"),
            isAnswered(500, #"{"cause":"x"}"#)
        ),
        Fault(
            "500 without JSON",
            FakeAnswers.json("<html>\u{1b}[2Jno", status: "500 Oh", type: "text/html"),
            isAnswered(500, "<html>\\u{1b}[2Jno")
        ),
        Fault("502 with nothing", FakeAnswers.json("", status: "502 Bad"), isAnswered(502, "")),
        Fault(
            "a redirection",
            FakeAnswers.head(
                "302 Found",
                ["Location: /v1.41/containers/good/json", "Content-Length: 0"]
            ),
            isAnswered(302, "")
        ),
        Fault(
            "the wrong content type",
            FakeAnswers.json(FakeAnswers.container, type: "text/html"),
            isUnreadable("text/html")
        ),
        Fault("no JSON", FakeAnswers.json("{\"Id\":"), isUnreadable("no JSON")),
        Fault("nothing", FakeAnswers.json(""), isUnreadable("no JSON")),
        Fault("no object", FakeAnswers.json("[]"), isUnreadable("no object")),
        Fault(
            "deep nesting",
            FakeAnswers.json(String(repeating: "[", count: 1 << 20)),
            isUnreadable("no JSON")
        ),
        Fault(
            "deep nesting inside",
            FakeAnswers.json(#"{"Id":"# + String(repeating: #"{"a":"#, count: 100_000)),
            isUnreadable("no JSON")
        ),
        Fault("another object", FakeAnswers.json("{}"), isUnreadable("'Id' is missing")),
        Fault(
            "an id that is a path",
            spoilt(FakeAnswers.containerID, "../../v1.41/info"),
            isUnreadable("'Id'")
        ),
        Fault("a huge process id", spoilt("4711", "1e400"), isUnreadable("'State.Pid'")),
        Fault("a long process id", spoilt("4711", "99999999999"), isUnreadable("'State.Pid'")),
        Fault("a negative process id", spoilt("4711", "-1"), isUnreadable("'State.Pid'")),
        Fault("half a process", spoilt("4711", "1.5"), isUnreadable("'State.Pid'")),
        Fault("a process id that is a list", spoilt("4711", "[1]"), isUnreadable("'State.Pid'")),
        Fault(
            "labels that are a list",
            spoilt(#"{"a":"b"}"#, "[1]"),
            isUnreadable("'Config.Labels'")
        ),
        Fault(
            "mounts of another type",
            spoilt(#"{"Type":"bind""#, #"{"Type":7"#),
            isUnreadable("'Mounts[0].Type'")
        ),
    ]

    private static let head = [FakeEngine.Move.text("HTTP/1.1 200 OK\r\n")]
    private static let tenMegabytes = "\"" + String(repeating: "x", count: 10 << 20) + "\""
    private static let slowAnswer: [UInt8] = Array(
        "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n\(String(repeating: " ", count: 600))".utf8
    )

    private static func spoilt(_ good: String, _ bad: String) -> [FakeEngine.Move] {
        var text = FakeAnswers.container
        if let range = text.firstRange(of: good) { text.replaceSubrange(range, with: bad) }
        return FakeAnswers.json(text)
    }
}
