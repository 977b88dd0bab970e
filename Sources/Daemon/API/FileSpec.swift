// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Spawner

/// One input file of a run.
struct FileSpec: Decodable, Sendable {
    private static let keys = ["path", "text", "base64", "mode"]
    private static let queueKeys = ["sha256"]

    var path: String
    var content: [UInt8]
    var mode: UInt32
    /// Names the content among the queue's blobs.
    var digest: String?

    init(from decoder: any Decoder) throws {
        let isTask = decoder.userInfo[.profile] != nil
        let body = try decoder.strictContainer(
            "a file",
            isTask ? Self.keys + Self.queueKeys : Self.keys
        )
        guard let path: String = try body.value("path") else {
            throw APIError.invalid("a file has no 'path'")
        }
        self.path = path
        mode = try body.number("mode") ?? 0o644
        let text: String? = try body.value("text")
        let encoded: String? = try body.value("base64")
        digest = try body.value("sha256")
        switch (text, encoded, digest) {
        case (nil, nil, _?): content = []
        case (let text?, nil, nil): content = Array(text.utf8)
        case (nil, let encoded?, nil): content = try Base64.decode(encoded, key: "file '\(path)'")
        default:
            // What is read and approved must be what runs.
            let known = isTask ? "'text', 'base64' and 'sha256'" : "'text' and 'base64'"
            throw APIError.invalid("file '\(path)' needs one of \(known)")
        }
    }

    /// Checked: below the workspace, by a plain name.
    func inputFile() throws(APIError) -> InputFile {
        func refuse(_ why: String) -> APIError {
            .invalid("file '\(path)': \(why); give a path below the workspace, like 'data/in.csv'")
        }
        guard !path.isEmpty else { throw refuse("the name is empty") }
        // By bytes: what the kernel takes for a slash may be part of a letter of Swift's.
        guard path.utf8.first != UInt8(ascii: "/") else { throw refuse("the name is absolute") }
        guard !path.utf8.contains(0) else { throw refuse("the name contains a NUL byte") }
        guard !["out", ".tmp", ".secrets"].contains(path),
            !path.utf8.starts(with: ".secrets/".utf8)
        else {
            throw refuse("the workspace has a directory of this name")
        }
        guard path.utf8.count < Int(SBX_PATH_MAX) else {
            throw .invalid(
                "a file's name has \(path.utf8.count) bytes, and \(SBX_PATH_MAX - 1) fit"
            )
        }
        let slash = UInt8(ascii: "/")
        for part in path.utf8.split(separator: slash, omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw refuse("the name has an empty part") }
            guard !part.allSatisfy({ $0 == UInt8(ascii: ".") }) || part.count > 2 else {
                throw refuse("the name contains '\(String(decoding: part, as: UTF8.self))'")
            }
            guard part.count <= 255 else { throw refuse("a part has more than 255 bytes") }
        }
        guard mode <= 0o777 else { throw refuse("the mode \(mode) is none") }
        return InputFile(path: Array(path.utf8), content: content, mode: mode)
    }
}
