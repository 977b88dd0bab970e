// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// A command as a shell would take it, harmless on a terminal.
enum CommandText {
    static func full(_ arguments: JSONValue?) -> String {
        (arguments?.elements ?? []).map { quoted($0.text ?? "") }.joined(separator: " ")
    }

    /// Cut to `length` characters.
    static func short(_ arguments: JSONValue?, length: Int) -> String {
        let text = full(arguments)
        return text.count > length ? text.prefix(length - 1) + "…" : text
    }

    private static func quoted(_ argument: String) -> String {
        let isPlain = argument.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "%+,-./:=@_".utf8.contains(byte)
            }
        }
        if isPlain, !argument.isEmpty { return argument }
        let text = Terminal.printable(argument)
        return "'"
            + text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
}
