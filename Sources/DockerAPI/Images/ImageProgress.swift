// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// One line of what an engine tells while it works on an image.
package struct ImageProgress: Sendable, Hashable {
    /// Fit for one line: "Downloading", "Pull complete".
    package let status: String
    /// The layer that it is about; nil for the whole image.
    package let layer: String?
    /// Bytes of the layer that are done.
    package let doneBytes: Int?
    /// Bytes of the layer; nil when the engine does not know them either.
    package let wholeBytes: Int?

    /// Throws what the line says that went wrong, if that is what it says.
    init(_ line: ArraySlice<UInt8>) throws(DockerError.Reason) {
        guard let value = JSONParser.parse(Array(line)), case .object = value else {
            throw .unreadable("a line of it is no JSON object: '\(Visible.text(line, limit: 200))'")
        }
        if let error = value["error"], error != .null, error != .string("") {
            let words = error.text ?? value["errorDetail"]?["message"]?.text
            throw .reported(Visible.text(words ?? "it does not say why"))
        }
        // What is for a person to read is not worth a failure.
        let text = value["status"]?.text ?? value["stream"]?.text ?? ""
        status = Visible.text(Self.withoutEnd(text))
        layer = value["id"]?.text.map { Visible.text($0, limit: 100) }
        doneBytes = value["progressDetail"]?["current"]?.int
        wholeBytes = value["progressDetail"]?["total"]?.int
    }

    private static func withoutEnd(_ text: String) -> Substring {
        var rest = Substring(text)
        while let last = rest.last, last.isNewline { rest.removeLast() }
        return rest
    }
}
