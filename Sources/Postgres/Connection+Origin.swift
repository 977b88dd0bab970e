// SPDX-License-Identifier: Apache-2.0

extension Connection {
    /// What one session takes in.
    package struct Limits: Sendable {
        /// Statements that are not answered yet.
        package var statements = 4096
        /// Bytes of their parameters; a larger one may go alone.
        package var parameterBytes = 64 << 20

        /// The usual ones.
        package init() {}
    }

    /// Whom to connect as, and to what.
    package struct Origin: Sendable {
        /// The server or servers.
        package var target: ConnectionTarget
        /// Which of the target's hosts to try first.
        package var firstHost = 0
        /// What the server shows in pg_stat_activity.
        package var applicationName = "sandboxd"

        /// The first host first.
        package init(_ target: ConnectionTarget) {
            self.target = target
        }
    }
}
