// SPDX-License-Identifier: Apache-2.0

/// An answer on its way in: counts what comes and puts it together. No I/O.
struct AnswerIntake {
    private let limits: CallLimits
    private let byLine: Bool
    private var headerBytes = 0
    private var bodyBytes = 0
    private var line: [UInt8] = []
    private(set) var answer = EngineAnswer()
    /// Whether the empty line after the header has come: libcurl is content without.
    private(set) var hasWholeHeader = false

    /// `byLine` is whether the body of a good answer is wanted line by line.
    init(limits: CallLimits, byLine: Bool) {
        self.limits = limits
        self.byLine = byLine
    }

    /// Whether lines are handed out: a refusal is kept whole, to be quoted.
    private var splitsLines: Bool { byLine && (200..<300).contains(answer.status) }

    // MARK: The header

    /// Takes a line of the header, or of a trailer. A status line begins an answer anew: what came
    /// before was an interim one.
    mutating func header(_ bytes: some Collection<UInt8>) throws(DockerError.Reason) {
        headerBytes += bytes.count
        guard headerBytes <= limits.headerBytes else {
            throw .tooLarge(.header, limit: limits.headerBytes)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            answer.header = EngineAnswer.Header()
            hasWholeHeader = false
            let words = text.split(separator: " ")
            answer.header.status = words.count > 1 ? Int(words[1].prefix { $0.isNumber }) ?? 0 : 0
            return
        }
        if text == "\r\n" || text == "\n" { hasWholeHeader = true }
        guard let colon = text.firstIndex(of: ":") else { return }
        let value = Self.trimmed(text[text.index(after: colon)...])
        switch text[..<colon].lowercased() {
        case "content-type": answer.header.contentType = value
        case "api-version": answer.header.apiVersion = value
        case "server": answer.header.server = value
        default: break
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank: (Character) -> Bool = { $0.isWhitespace }
        var rest = text.drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }

    // MARK: The body

    /// Takes a piece of the body, and hands out the lines that it completes.
    mutating func body(
        _ piece: UnsafeRawBufferPointer,
        _ takeLine: (ArraySlice<UInt8>) throws(DockerError.Reason) -> Void
    ) throws(DockerError.Reason) {
        bodyBytes += piece.count
        guard bodyBytes <= limits.bodyBytes else {
            throw .tooLarge(.body, limit: limits.bodyBytes)
        }
        guard splitsLines else {
            answer.body += piece
            return
        }
        var rest = piece[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            try grow(rest[..<end])
            rest = rest[(end + 1)...]
            try hand(takeLine)
        }
        try grow(rest)
    }

    /// Hands out a last line that has no end.
    mutating func end(
        _ takeLine: (ArraySlice<UInt8>) throws(DockerError.Reason) -> Void
    ) throws(DockerError.Reason) {
        if splitsLines { try hand(takeLine) }
    }

    private mutating func grow(
        _ piece: Slice<UnsafeRawBufferPointer>
    ) throws(DockerError.Reason) {
        guard line.count + piece.count <= limits.lineBytes else {
            throw .tooLarge(.line, limit: limits.lineBytes)
        }
        line += piece
    }

    private mutating func hand(
        _ takeLine: (ArraySlice<UInt8>) throws(DockerError.Reason) -> Void
    ) throws(DockerError.Reason) {
        defer { line.removeAll(keepingCapacity: true) }
        let whole = line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...]
        if !whole.isEmpty { try takeLine(whole) }
    }
}
