// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Spawner

/// One line of a run's live answer.
enum RunEvent: Encodable {
    case started(AttemptID)
    case output(OutputChunk)
    case result(RunResult)

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: AnyKey.self)
        switch self {
        case .started(let attempt):
            try body.encode("started", forKey: AnyKey("event"))
            try body.encode(attempt.description, forKey: AnyKey("attempt_id"))
        case .output(let chunk):
            try body.encode(chunk.stream.rawValue, forKey: AnyKey("event"))
            try body.encode(chunk.offset, forKey: AnyKey("offset"))
            try body.encode(Base64.encode(chunk.bytes), forKey: AnyKey("data"))
        case .result(let result):
            try body.encode("result", forKey: AnyKey("event"))
            try body.encode(RunReport(result), forKey: AnyKey("result"))
        }
    }

    /// The line, with its end.
    func line() throws -> ByteBuffer {
        ByteBuffer(bytes: try JSONAnswer.bytes(self) + [UInt8(ascii: "\n")])
    }
}
