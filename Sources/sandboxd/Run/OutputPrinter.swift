// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// Writes the run's output where it belongs, and says where something was left out.
struct OutputPrinter {
    private var next: [String: Int] = [:]

    /// One event of the run.
    mutating func print(_ event: JSONValue) {
        guard let name = event["event"]?.text, name == "stdout" || name == "stderr",
            let offset = event["offset"]?.int, let bytes = Base64.decode(event["data"]?.text ?? "")
        else { return }
        let dropped = offset - next[name, default: 0]
        if dropped > 0 { Terminal.say("\n[... \(dropped) bytes of \(name) dropped ...]") }
        next[name] = offset + bytes.count
        Terminal.write(name == "stdout" ? 1 : 2, bytes)
    }
}
