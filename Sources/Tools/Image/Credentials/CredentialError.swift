// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

/// Why credentials cannot be used. Nothing of what they are is in it.
enum CredentialError: Error, CustomStringConvertible {
    /// There is no such file, or it cannot be read.
    case unreadable(path: String, Errno)
    /// No directory of credentials was passed by systemd.
    case noDirectory(name: String)
    /// This is no name of a credential.
    case malformedName(String)
    /// Somebody else could read or write it.
    case exposed(path: String, problem: String)
    /// It is not written as credentials are.
    case malformed(path: String, problem: String)
    /// It has nothing for this registry.
    case none(path: String, registry: String)

    var description: String {
        switch self {
        case .unreadable(let path, let code):
            "the credentials in \(path) cannot be read: \(code); nothing was asked without them"
        case .noDirectory(let name):
            """
            the credential '\(name)' is not there: systemd sets CREDENTIALS_DIRECTORY for a unit \
            with LoadCredential=\(name):FILE; a file is named with a '/' in it, like ./\(name)
            """
        case .malformedName(let name): "'\(name)' is no name of a credential"
        case .exposed(let path, let problem):
            "the credentials in \(path) are not used: \(problem)"
        case .malformed(let path, let problem): "the credentials in \(path): \(problem)"
        case .none(let path, let registry):
            """
            the credentials in \(path) have none for the registry \(registry), and none for \
            another one was used: add it, or pull without --credentials
            """
        }
    }
}
