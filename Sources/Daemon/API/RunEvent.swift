// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Spawner

/// One line of a run's live answer.
enum RunEvent {
    case started(AttemptID)
    case output(OutputChunk)
    case result(RunResult)

    private var object: JSONObject {
        switch self {
        case .started(let attempt):
            ["event": "started", "attempt_id": attempt.description]
        case .output(let chunk):
            [
                "event": chunk.stream.rawValue, "offset": chunk.offset,
                "data": Base64.encode(chunk.bytes),
            ]
        case .result(let result):
            ["event": "result", "result": RunReport.object(result)]
        }
    }

    /// The line, with its end.
    func line() throws -> ByteBuffer {
        ByteBuffer(bytes: try JSONAnswer.bytes(object) + [UInt8(ascii: "\n")])
    }
}
