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

    /// Writes each stream where it belongs; without its first bytes, when those have been written
    /// before.
    package func print(after printed: [String: Int] = [:]) {
        for (number, stream) in [(Int32(1), "stdout"), (2, "stderr")] {
            Terminal.write(number, Array(bytes(stream).dropFirst(printed[stream] ?? 0)))
        }
    }

    private func bytes(_ stream: String) -> [UInt8] {
        let text = report[stream]?.text ?? ""
        let isEncoded = report[stream + "_encoding"]?.text == "base64"
        return isEncoded ? Base64.decode(text) ?? [] : Array(text.utf8)
    }
}
