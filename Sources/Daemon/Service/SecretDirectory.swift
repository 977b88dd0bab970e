// SPDX-License-Identifier: Apache-2.0
internal import Egress
internal import Kernel

/// The operator's secrets for jobs: a file each, in a directory that only the daemon can read
/// (systemd's LoadCredential, or a tmpfs).
///
/// They are read when a run asks for them, so that a new one counts from the next run on, and are
/// nowhere but in that run: not in the queue, in logs, errors, or command lines.
struct SecretDirectory: Sendable {
    /// What a header or a small file can hold.
    private static let byteLimit = 1 << 16

    /// nil when the operator has none.
    let path: String?
    /// Whether systemd made it.
    let isFromSystemd: Bool

    /// Why a run does not get a secret. Nothing of what it is is in it.
    enum Refusal: Error, CustomStringConvertible {
        case noDirectory(String)
        case unusable(String, path: String, PrivateFile.Refusal)
        case noHeader(String)
        case noTLS(String, ServerTLS.Refusal)

        var description: String {
            switch self {
            case .noDirectory(let name):
                "the secret '\(name)' is not there: the daemon has no directory of secrets (--secrets)"
            case .unusable(let name, let path, let why):
                "the secret '\(name)' (\(path)) is not used: \(why)"
            case .noHeader(let name):
                "the secret '\(name)' cannot be put into a header: it is empty, or has line breaks or "
                    + "control characters in it"
            case .noTLS(let name, let why):
                "the secret '\(name)' cannot be sent over TLS: \(why)"
            }
        }
    }

    /// The secret of this name, which a policy has checked: it is a plain file's.
    func read(_ name: String) throws(Refusal) -> [UInt8] {
        guard let path else { throw .noDirectory(name) }
        let file = path + "/" + name
        do throws(PrivateFile.Refusal) {
            return try PrivateFile.read(
                file,
                limit: Self.byteLimit,
                isFromSystemd: isFromSystemd
            )
        } catch {
            throw .unusable(name, path: file, error)
        }
    }

    /// The same as a header's value: one line, without the line break at its end.
    func header(_ name: String) throws(Refusal) -> String {
        var bytes = try read(name)
        if bytes.last == 10 { bytes.removeLast() }
        if bytes.last == 13 { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.allSatisfy({ (32...126).contains($0) }) else {
            throw .noHeader(name)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
