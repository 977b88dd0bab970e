// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// A file with credentials that nobody else can read: one that is named by its path, or one that
/// systemd passes by its name.
struct CredentialFile {
    private static let byteLimit = 1 << 16

    /// What errors call it.
    let path: String
    private let isFromSystemd: Bool

    /// `text` is a path when it has a slash in it, else the name of a credential of systemd's.
    init(_ text: String, environment: [String: String]) throws(CredentialError) {
        guard !text.contains("/") else {
            path = text
            isFromSystemd = false
            return
        }
        guard !text.isEmpty, text != ".", text != "..", !text.utf8.contains(0) else {
            throw .malformedName(text)
        }
        guard let directory = environment["CREDENTIALS_DIRECTORY"], directory.hasPrefix("/") else {
            throw .noDirectory(name: text)
        }
        path = directory + "/" + text
        isFromSystemd = true
    }

    /// Its bytes.
    func read() throws(CredentialError) -> [UInt8] {
        do throws(PrivateFile.Refusal) {
            return try PrivateFile.read(path, limit: Self.byteLimit, isFromSystemd: isFromSystemd)
        } catch {
            switch error {
            case .unreadable(let code): throw .unreadable(path: path, code)
            case .exposed(let problem): throw .exposed(path: path, problem: problem)
            }
        }
    }
}
