// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Why the private PostgreSQL server is not there.
package enum ClusterError: Error, Sendable, Hashable {
    /// PostgreSQL's server refuses to run as root.
    case isRoot
    /// The user of this process has no name, which PostgreSQL asks for.
    case noUserName(uid: UInt32)
    /// There are no programs.
    case notInstalled
    /// There are programs, but not those that can read the cluster that is there.
    case wrongVersion(cluster: String, installed: [String])
    /// Somebody else holds the directory.
    case inUse(String)
    /// Processes of an earlier server do not end.
    case leftovers([Int32])
    /// The kernel refused something.
    case host(doing: String, Errno)
    /// A program ended badly, and said this at last.
    case failed(String, status: String, log: [String])
    /// The server takes no connections after this long.
    case late(after: Duration, log: [String])
    /// `stop` came in between.
    case stopped
}

extension ClusterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .isRoot: "the private PostgreSQL server does not run as root: use another user"
        case .noUserName(let uid): "the user id \(uid) has no name in /etc/passwd: add one"
        case .notInstalled: "there is no PostgreSQL server here: install Debian's 'postgresql'"
        case .wrongVersion(let cluster, let installed):
            "the private PostgreSQL data is of version \(cluster), and installed is "
                + (installed.isEmpty ? "none" : installed.joined(separator: ", "))
                + ": install Debian's 'postgresql-\(cluster)'"
        case .inUse(let directory): "\(directory) is in use by another sandboxd"
        case .leftovers(let processes):
            "processes of an earlier PostgreSQL server do not end: "
                + processes.map(String.init).joined(separator: ", ")
        case .host(let doing, let code): "\(doing): \(code)"
        case .failed(let program, let status, let log):
            "\(program) ended with \(status)" + Self.lastLines(log)
        case .late(let after, let log):
            "PostgreSQL took no connections for \(Int(after / .seconds(1))) s" + Self.lastLines(log)
        case .stopped: "the private PostgreSQL server was told to stop"
        }
    }

    private static func lastLines(_ log: [String]) -> String {
        log.isEmpty ? "" : ": " + log.joined(separator: "; ")
    }
}

/// Makes a kernel call that throws as this module's error, saying what it was for.
func hosting<Value>(
    _ doing: String,
    _ body: () throws(Errno) -> Value
) throws(ClusterError) -> Value {
    do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
}
