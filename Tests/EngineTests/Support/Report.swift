// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What came of a run.
struct Report: Sendable {
    let json: JSON

    var verdict: String { json["verdict"]?.text ?? "none" }
    var exitCode: Int? { json["exit_code"]?.int }
    var signal: Int? { json["signal"]?.int }
    var attempt: String { json["attempt_id"]?.text ?? "" }
    var isClean: Bool { json["receipt"]?["clean"]?.bool ?? false }

    /// Standard output as bytes.
    var stdout: [UInt8] { Self.bytes(json["stdout"], json["stdout_encoding"]) }
    /// Standard error as bytes.
    var stderr: [UInt8] { Self.bytes(json["stderr"], json["stderr_encoding"]) }
    /// Standard output as text without the white space at its ends.
    var text: String {
        String(decoding: stdout, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A number of the evidence.
    func evidence(_ name: String) -> Double? { json["evidence"]?[name]?.double }
    /// A number of the usage.
    func usage(_ name: String) -> Double? { json["usage"]?[name]?.double }
    /// A number of the timing, in milliseconds.
    func timing(_ name: String) -> Double { json["timing"]?[name]?.double ?? -1 }

    /// The artifacts that were kept, by name.
    var artifacts: [[UInt8]: JSON] {
        Self.named(json["artifacts"])
    }
    /// The reasons for which others were not.
    var refused: [[UInt8]: String] {
        Self.named(json["artifacts_refused"]).mapValues { $0["reason"]?.text ?? "" }
    }

    private static func named(_ list: JSON?) -> [[UInt8]: JSON] {
        let pairs = (list?.elements ?? []).map {
            (bytes($0["path"], $0["path_encoding"]), $0)
        }
        return Dictionary(pairs) { $1 }
    }

    private static func bytes(_ value: JSON?, _ encoding: JSON?) -> [UInt8] {
        let text = value?.text ?? ""
        guard encoding?.text == "base64" else { return Array(text.utf8) }
        return Data(base64Encoded: text).map(Array.init) ?? []
    }
}
