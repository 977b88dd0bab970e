// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// PostgreSQL's server is installed, for the database that the daemon keeps for itself.
struct PostgresCheck: Check {
    private static let versions = "/usr/lib/postgresql"

    let name = "postgresql"

    func look(at patient: Patient) -> Finding {
        if getenv("SANDBOXD_DATABASE") != nil {
            return .ok("a database is named by SANDBOXD_DATABASE")
        }
        let installed = Self.installed()
        guard let newest = installed.max() else {
            return .missing(
                "no PostgreSQL server is installed for the daemon's own database",
                mend: "run 'apt-get install postgresql', or serve with --database"
            )
        }
        return .ok("PostgreSQL \(newest) is installed, for the daemon's own database")
    }

    /// The major versions that have a server.
    private static func installed() -> [Int] {
        guard let listing = opendir(versions) else { return [] }
        defer { closedir(listing) }
        var found: [Int] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let version = Int(name),
                access("\(versions)/\(name)/bin/postgres", X_OK) == 0
            {
                found.append(version)
            }
        }
        return found
    }
}
