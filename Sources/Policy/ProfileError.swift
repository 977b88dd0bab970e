// SPDX-License-Identifier: Apache-2.0

/// A line of a file.
package struct Place: Sendable, Hashable, CustomStringConvertible {
    /// The file, by the path it was opened with.
    package let file: String

    /// The line, counted from 1.
    package let line: Int

    package var description: String { "\(file):\(line)" }
}

/// Why a profile, or a list of system calls it names, did not load.
package enum ProfileError: Error, Hashable, Sendable {
    /// The file or directory cannot be read; the reason is the kernel's.
    case unreadable(path: String, reason: String)

    /// What is written at `key` is refused. `key` is a path (`limits.pids`), or empty for the file.
    case refused(at: Place, key: String, problem: String, mend: String)

    /// There is no profile of this name.
    case unknown(name: String, known: [String])
}

extension ProfileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(path): cannot be read: \(reason)"
        case .refused(let place, let key, let problem, let mend):
            key.isEmpty ? "\(place): \(problem); \(mend)" : "\(place): \(key): \(problem); \(mend)"
        case .unknown(let name, let known) where known.isEmpty:
            "there is no profile \"\(name)\": none is installed"
        case .unknown(let name, let known):
            "there is no profile \"\(name)\"; there is: \(known.joined(separator: ", "))"
        }
    }
}
