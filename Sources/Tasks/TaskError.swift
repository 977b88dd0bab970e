// SPDX-License-Identifier: Apache-2.0
package import Postgres

/// Why the queue did not do what was asked. Nothing of it happened, unless the case says otherwise.
package enum TaskError: Error, Sendable, Hashable {
    /// No such profile, in the queue's words.
    case unknownProfile(String)
    /// The task or an argument is not as it must be.
    case malformed(String)
    /// The idempotency key belongs to something else.
    case keyTaken(String)
    /// The budget cannot pay.
    case exhausted(String)
    /// A person's word is needed first.
    case needsApproval(String)
    /// About this task was decided already, or something else was shown.
    case decided(String)
    /// No such budget.
    case unknownBudget(String)
    /// This worker's leases were taken away. It must not go on as this worker.
    case workerOver
    /// The database cannot be used now, and why.
    case unavailable(String)
    /// The database's schema is not the one of this program.
    case schema(String)
    /// Anything else that PostgreSQL said. After a lost connection the outcome is unknown.
    case database(PostgresError)

    /// What a refusal of the SQL functions means, by its SQLSTATE (`Schema/0003-enqueue.sql`).
    init(_ error: PostgresError) {
        guard case .server(let sqlState, let message, _) = error else {
            switch error {
            case .notConnected(let why), .unreachable(let why): self = .unavailable(why)
            default: self = .database(error)
            }
            return
        }
        switch sqlState {
        case "SB001": self = .unknownProfile(message)
        case "SB002": self = .malformed(message)
        case "SB003": self = .keyTaken(message)
        case "SB004": self = .exhausted(message)
        case "SB006": self = .unknownBudget(message)
        case "SB007": self = .workerOver
        case "SB008": self = .needsApproval(message)
        case "SB009": self = .decided(message)
        // An undefined schema, table, function or column.
        case "3F000", "42P01", "42883", "42703":
            self = .schema("\(message) (run 'sandboxd db migrate')")
        // Classes 22 and 54, of a text that is no JSON for PostgreSQL: NUL, half of a surrogate pair,
        // a number beyond all bounds, nesting beyond its stack.
        case "22P05", "22P02", "22003", "54001": self = .malformed(message)
        case "53100": self = .unavailable("its disk is full: \(message)")
        default: self = error.isTransient ? .unavailable(message) : .database(error)
        }
    }
}

extension TaskError {
    /// Whether the database answered, and would say the same to the same statement again.
    var isRefusal: Bool {
        switch self {
        case .malformed, .keyTaken, .exhausted, .unknownProfile, .unknownBudget, .needsApproval,
            .decided:
            true
        // Somebody may just be migrating it.
        case .unavailable, .schema, .workerOver: false
        case .database(let error): !error.isTransient
        }
    }
}

extension TaskError: CustomStringConvertible {
    /// Why the database cannot be used, for who says already that it cannot.
    package var reason: String {
        if case .unavailable(let why) = self { why } else { description }
    }

    package var description: String {
        switch self {
        case .unknownProfile(let why), .malformed(let why), .keyTaken(let why),
            .exhausted(let why), .unknownBudget(let why), .needsApproval(let why),
            .decided(let why):
            why
        case .workerOver: "this node's leases were taken away: it was silent for too long"
        case .unavailable(let why): "the database cannot be used now: \(why)"
        case .schema(let why):
            "the database's schema is not this program's: \(why)"
        case .database(let error): "\(error)"
        }
    }
}
