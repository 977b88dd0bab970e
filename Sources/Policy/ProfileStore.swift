// SPDX-License-Identifier: Apache-2.0

/// The profiles of one directory, resolved.
///
/// The directory holds `NAME.yaml` for each profile, and `syscalls/` with the lists they name. It
/// is read once. One profile that does not load is an error for the whole directory, so that a
/// slip of the pen shows when the daemon starts and not when somebody needs the profile.
package struct ProfileStore: Sendable {
    private let policies: [String: Policy]

    /// Loads every profile in `directory`.
    package init(directory: String) throws(ProfileError) {
        let lists = try SyscallLists(directory: directory + "/syscalls")
        var policies: [String: Policy] = [:]
        for file in try TextFile.names(in: directory, suffix: ".yaml") {
            let policy = try Self.load("\(directory)/\(file)", lists: lists)
            policies[policy.name] = policy
        }
        self.policies = policies
    }

    /// The names of all profiles, sorted.
    package var names: [String] {
        policies.keys.sorted()
    }

    /// The policy of the profile called `name`.
    package func policy(named name: String) throws(ProfileError) -> Policy {
        guard let policy = policies[name] else { throw .unknown(name: name, known: names) }
        return policy
    }

    /// Loads the one profile in `file`, with the lists that lie beside it in `syscalls/`.
    package static func policy(inFile file: String) throws(ProfileError) -> Policy {
        let directory = file.contains("/") ? String(file.directory) : "."
        return try load(file, lists: try SyscallLists(directory: directory + "/syscalls"))
    }

    private static func load(_ path: String, lists: SyscallLists) throws(ProfileError) -> Policy {
        let profile = try Profile(file: path)
        guard path.lastComponent == profile.name + ".yaml" else {
            throw .refused(
                at: Place(file: path, line: 1),
                key: "name",
                problem: "\"\(profile.name)\" is not what the file is called",
                mend: "rename the file to \(profile.name).yaml, or the profile"
            )
        }
        return try Policy(resolving: profile, lists: lists)
    }
}

extension String {
    /// What stands behind the last slash.
    var lastComponent: Substring {
        lastIndex(of: "/").map { self[index(after: $0)...] } ?? self[...]
    }

    /// What stands before the last slash; empty when there is none.
    fileprivate var directory: Substring {
        lastIndex(of: "/").map { self[..<$0] } ?? ""
    }
}
