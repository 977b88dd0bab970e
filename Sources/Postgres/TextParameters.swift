// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Parameters as libpq wants them.
enum TextParameters {
    /// Calls `body` with NUL-terminated copies that live until it returns; nil stays NULL.
    static func with<Value>(
        _ parameters: [String?],
        _ body: ([UnsafePointer<CChar>?]) -> Value
    ) -> Value {
        let copies = parameters.map { $0.flatMap { strdup($0) } }
        defer { copies.forEach { free($0) } }
        return body(copies.map { UnsafePointer($0) })
    }

    /// Why these cannot be sent, if they cannot: a NUL would end the text early, unnoticed.
    static func refusal(_ parameters: [String?]) -> PostgresError? {
        guard parameters.count <= 65_535 else {
            return .malformed("\(parameters.count) parameters are more than PostgreSQL takes")
        }
        let index = parameters.firstIndex { $0?.utf8.contains(0) == true }
        return index.map { .malformed("parameter $\($0 + 1) has a NUL in it, which no text may") }
    }
}
