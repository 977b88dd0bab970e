// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Why an image could not be found, built, held or removed.
///
/// Whatever was begun is undone by the time it is thrown, unless the case says otherwise.
package enum ImageError: Error, Hashable, Sendable {
    /// The store has no such image.
    case missing(String, store: FilePath)

    /// Somebody holds the image.
    case inUse(String)

    /// More than one image's digest begins like this.
    case ambiguous(String)

    /// This is no name of an image: a name is short and plain, for it becomes a file's name.
    case malformedName(String)

    /// A recipe was refused.
    case recipe(DocumentError)

    /// A file of the store does not say what it should; nobody but a store writes there.
    case damaged(FilePath, DocumentError)

    /// A program that a build needs is not installed.
    case toolMissing(String)

    /// A program that a build needs failed; with the last lines it wrote.
    case toolFailed(String, status: Int32, lastLines: [String])

    /// What was built cannot be a root file system.
    case unusable(FilePath, problem: String)

    /// An archive of an image was refused.
    case archive(FilePath, problem: String)

    /// Somebody else has changed what this name stands for, or may stand for.
    case moved(String)

    /// The kernel refused something.
    case system(doing: String, FilePath, Errno)
}

extension ImageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let name, let store):
            let mend =
                name.hasPrefix("sha256")
                ? "see `sandboxd image ls`" : "run `sandboxd image build images/\(name)`"
            return "image \(name) is not in \(store): \(mend)"
        case .inUse(let name):
            return "image \(name) is in use: stop the daemons that use it, then try again"
        case .ambiguous(let text):
            return "\(text) begins more than one image's digest: write more of it"
        case .malformedName(let name):
            return "\"\(name)\" is no image's name: a name has at most 64 lower-case letters, "
                + "digits, dots, dashes and underscores"
        case .recipe(let error):
            return error.description
        case .damaged(let path, let error):
            return "the image store is damaged: \(error): remove \(path), then build again"
        case .toolMissing(let tool):
            return "\(tool) is not installed: run scripts/install-packages image"
        case .toolFailed(let tool, let status, let lastLines):
            let how = status < 0 ? "was killed by signal \(-status)" : "failed with \(status)"
            return
                (["\(tool) \(how), and nothing was kept; its last lines were:"]
                + lastLines.map { "    " + $0 }).joined(separator: "\n")
        case .unusable(let path, let problem):
            return "\(path): \(problem)"
        case .archive(let path, let problem):
            return "\(path) cannot be imported: \(problem)"
        case .moved(let name):
            return "image \(name) was moved by somebody else meanwhile: see `sandboxd image ls`"
        case .system(let doing, let path, let errno):
            return "cannot \(doing) \(path): \(errno)"
        }
    }
}
