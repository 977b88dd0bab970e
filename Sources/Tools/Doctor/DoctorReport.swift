// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// What all checks found.
struct DoctorReport {
    /// A check and its finding.
    struct Row {
        let check: String
        let finding: Finding

        /// ok, info or missing.
        var result: String {
            switch finding {
            case .ok: "ok"
            case .info: "info"
            case .missing: "missing"
            }
        }

        var found: String {
            switch finding {
            case .ok(let found), .info(let found), .missing(let found, _): found
            }
        }

        var mend: String? {
            if case .missing(_, let mend) = finding { mend } else { nil }
        }
    }

    let findings: [Row]

    private var missing: Int { findings.count { $0.mend != nil } }

    /// Whether nothing is missing.
    var isHealthy: Bool { missing == 0 }

    /// For a person: a line a check, and one more with the mend.
    var text: String {
        let width = findings.map(\.check.count).max() ?? 0
        var lines: [String] = []
        for row in findings {
            let result = Self.padded(row.result, 8)
            lines.append("\(result) \(Self.padded(row.check, width))  \(row.found)")
            if let mend = row.mend {
                lines.append("\(Self.padded("", 8 + 1 + width))  mend: \(mend)")
            }
        }
        return (lines + [conclusion]).joined(separator: "\n")
    }

    private var conclusion: String {
        switch missing {
        case 0: "nothing is missing"
        case 1: "1 thing is missing"
        default: "\(missing) things are missing"
        }
    }

    /// For a program: `{"checks": [{"check", "found", "mend", "result"}], "healthy"}`.
    var json: String {
        let checks = findings.map { row in
            JSONValue.object([
                "check": .string(row.check), "result": .string(row.result),
                "found": .string(row.found), "mend": row.mend.map(JSONValue.string) ?? .null,
            ])
        }
        let report = JSONValue.object(["checks": .array(checks), "healthy": .bool(isHealthy)])
        return String(decoding: report.bytes, as: UTF8.self)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
