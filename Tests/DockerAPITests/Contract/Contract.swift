// SPDX-License-Identifier: Apache-2.0
import Testing

/// What we rely on in an engine, one sentence a row.
enum Contract {
    struct Row: Sendable, CustomTestStringConvertible {
        let sentence: String
        let body: @Sendable (Bench) async throws -> Void

        var testDescription: String { sentence }

        init(_ sentence: String, _ body: @escaping @Sendable (Bench) async throws -> Void) {
            self.sentence = sentence
            self.body = body
        }
    }

    static let rows = ofEngine + ofContainers + ofRefusals + ofImages
}
