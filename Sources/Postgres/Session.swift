// SPDX-License-Identifier: Apache-2.0

/// What each connection of a client is made to be before anybody uses it.
package struct Session: Sendable {
    /// What the server shows in pg_stat_activity.
    package var applicationName = "sandboxd"
    /// After this the server ends a statement (57014). Shorter than the callers' deadlines, it
    /// saves their connection.
    package var statementTimeout = Duration.seconds(10)
    /// After this the server ends a session that left a transaction open.
    package var idleInTransactionTimeout = Duration.seconds(10)
    /// The channels to LISTEN to.
    package var channels: [String] = []
    /// How long one connection may take to be made and prepared.
    package var connectDeadline = Duration.seconds(5)
    /// How long a statement waits for a connection that is being made.
    package var patience = Duration.milliseconds(500)
    /// What one connection takes in; also how many statements wait for one.
    package var limits = Connection.Limits()
    /// Done with each new connection before anybody else gets it, such as a check of the schema.
    /// When it throws, the connection counts as not made.
    package var prepare: @Sendable (Connection) async throws(PostgresError) -> Void = { _ in }

    /// The usual one.
    package init() {}

    /// The session's settings and channels, as one script.
    var script: String {
        let settings = [
            "SET statement_timeout = \(Self.milliseconds(statementTimeout))",
            "SET idle_in_transaction_session_timeout = \(Self.milliseconds(idleInTransactionTimeout))",
            // A server may be configured the old way, in which a backslash means something.
            "SET standard_conforming_strings = on",
        ]
        let listens = channels.map { "LISTEN \(Identifier.quoted($0))" }
        return (settings + listens).joined(separator: "; ")
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        max(1, Int(duration / .milliseconds(1)))
    }
}
