// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Where tasks and budgets are kept.
enum DatabaseChoice: Sendable {
    /// A PostgreSQL of the daemon's own, in its state directory.
    case embedded
    /// Somebody else's.
    case external(ConnectionTarget)
    /// Nowhere: direct runs only, and nobody pays.
    case none

    /// Reads `--database` or SANDBOXD_DATABASE; neither is the embedded one. A password on a command
    /// line could be read by every user of the machine, so it is refused there.
    init(option: String?, variable: String?) throws(DaemonError) {
        switch option ?? variable {
        case nil, "embedded"?: self = .embedded
        case "none"?: self = .none
        case let text?:
            do throws(PostgresError) {
                let target = try ConnectionTarget(text)
                if option != nil, target.hasPassword {
                    throw .malformed(
                        "a password on the command line can be read by everybody: put the "
                            + "connection string into SANDBOXD_DATABASE, or the password into a "
                            + "file (passfile=...)"
                    )
                }
                self = .external(target)
            } catch {
                throw .database("\(error)")
            }
        }
    }
}
