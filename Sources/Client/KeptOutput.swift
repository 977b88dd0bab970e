// SPDX-License-Identifier: Apache-2.0
package import JSON

/// The output in a run's report: what was kept of it, with a mark where something was left out.
package struct KeptOutput {
    private let report: JSONValue

    /// nil when the report has none.
    package init?(_ report: JSONValue) {
        guard report["stdout"]?.text != nil else { return nil }
        self.report = report
    }

    /// Writes each stream where it belongs.
    package func print() {
        Terminal.write(1, bytes("stdout"))
        Terminal.write(2, bytes("stderr"))
    }

    private func bytes(_ stream: String) -> [UInt8] {
        let text = report[stream]?.text ?? ""
        let isEncoded = report[stream + "_encoding"]?.text == "base64"
        return isEncoded ? Base64.decode(text) ?? [] : Array(text.utf8)
    }
}
