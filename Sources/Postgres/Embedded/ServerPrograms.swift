// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel

/// PostgreSQL's own programs: `initdb` and `postgres`, of one version.
struct ServerPrograms: Sendable, Hashable {
    /// Where they are.
    let directory: String
    /// The major version, as PG_VERSION has it.
    let version: String

    var initdb: String { directory + "/initdb" }
    var postgres: String { directory + "/postgres" }

    /// Those that can read a cluster of `version`; without one, the newest.
    ///
    /// Debian keeps each version in a folder of its own, outside of PATH; elsewhere PATH has them.
    static func find(version: String?) throws(ClusterError) -> ServerPrograms {
        let all = debian() + path()
        guard let version else {
            guard let newest = all.first else { throw .notInstalled }
            return newest
        }
        guard let match = all.first(where: { $0.version == version }) else {
            if all.isEmpty { throw .notInstalled }
            throw .wrongVersion(cluster: version, installed: all.map(\.version))
        }
        return match
    }

    /// Newest first.
    private static func debian() -> [ServerPrograms] {
        let root = "/usr/lib/postgresql"
        return DirectoryListing.names(root)
            .compactMap { name in Int(name).map { ($0, name) } }
            .sorted { $0.0 > $1.0 }
            .compactMap { complete("\(root)/\($0.1)/bin", version: $0.1) }
    }

    private static func path() -> [ServerPrograms] {
        guard let path = getenv("PATH") else { return [] }
        for directory in String(cString: path).split(separator: ":").map(String.init) {
            guard complete(directory, version: "") != nil,
                let version = ask("\(directory)/postgres")
            else { continue }
            return [ServerPrograms(directory: directory, version: version)]
        }
        return []
    }

    private static func complete(_ directory: String, version: String) -> ServerPrograms? {
        let programs = ServerPrograms(directory: directory, version: version)
        let areThere = access(programs.initdb, X_OK) == 0 && access(programs.postgres, X_OK) == 0
        return areThere ? programs : nil
    }

    /// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`.
    private static func ask(_ program: String) -> String? {
        // A program that cannot be run is as good as none.
        guard let output = try? TetheredProcess.output(of: [program, "--version"]) else {
            return nil
        }
        let words = output.split(separator: " ")
        guard words.count > 2, words[0] == "postgres" else { return nil }
        return words[2].split { !$0.isNumber }.first.map(String.init)
    }
}
