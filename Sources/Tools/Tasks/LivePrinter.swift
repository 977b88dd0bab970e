// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// Prints what a task writes as it comes, and at the end what had not come.
struct LivePrinter {
    /// Whether anything is to be printed before the end.
    let isLive: Bool
    private var attempt = ""
    private var printed: [String: Int] = [:]

    init(isLive: Bool) {
        self.isLive = isLive
    }

    /// Prints one event of output.
    mutating func print(_ event: JSONValue) {
        guard let stream = event["event"]?.text, let offset = event["offset"]?.int,
            let bytes = event["data"]?.text.flatMap(Base64.decode)
        else { return }
        let id = event["attempt_id"]?.text ?? ""
        if id != attempt {
            attempt = id
            printed = [:]
        }
        let known = printed[stream] ?? 0
        if offset > known { Terminal.say("sandboxd: \(offset - known) bytes were dropped here") }
        // After a new connection the daemon begins anew.
        let fresh = bytes.dropFirst(max(0, known - offset))
        Terminal.write(stream == "stdout" ? 1 : 2, Array(fresh))
        printed[stream] = max(known, offset + bytes.count)
    }

    /// Prints the rest of the last attempt's output, as its report has it.
    func printRest(of output: KeptOutput, attempt last: String) {
        output.print(after: last == attempt ? printed : [:])
    }
}
