// SPDX-License-Identifier: Apache-2.0

/// What a connection was asked, in order, and what is known of the answers. No I/O.
///
/// Every statement is a transaction of its own: it ends with a synchronization point, and is only
/// done when that point is reached, for the server commits there. A script runs alone: what comes
/// after it waits.
struct Pipeline {
    /// What the caller is to send.
    enum Sending: Equatable {
        case statement(Statement, parameters: [String?], prepareFirst: Bool)
        case script(String)
        /// Drops a statement that the server prepared for a schema that has changed since.
        case forget(Statement)
    }

    /// What a reply amounts to.
    enum Step {
        case more
        case settled(UInt64, Result<Rows, PostgresError>)
        /// The last result of a script was read. `endScript` settles it.
        case scriptEnded
        /// The connection cannot be used any more.
        case broken(String)
    }

    private struct Entry {
        let id: UInt64
        let sending: Sending
        let bytes: Int
        var replies = 0
        var outcome: Result<Rows, PostgresError>?
    }

    private let limit: Int
    private let byteLimit: Int
    private var sent: [Entry] = []
    private var waiting: [Entry] = []
    private var bytes = 0
    private var nextID: UInt64 = 0
    private var prepared: Set<Statement> = []
    /// Those whose preparation was refused: what was sent in the belief that it would succeed is
    /// refused for the same reason, not because a name is unknown.
    private var refusedPreparations: [Statement: PostgresError] = [:]

    init(limit: Int, byteLimit: Int) {
        self.limit = limit
        self.byteLimit = byteLimit
    }

    /// Whether nothing was sent that is not answered.
    var isIdle: Bool { sent.isEmpty }

    /// Whether nothing is left to do.
    var isEmpty: Bool { sent.isEmpty && waiting.isEmpty }

    /// Whether a script is under way.
    var isInScript: Bool {
        if case .script = sent.first?.sending { true } else { false }
    }

    // MARK: Asking

    /// Takes in a statement; answers the number under which it will be settled.
    mutating func ask(
        _ statement: Statement,
        _ parameters: [String?]
    ) throws(PostgresError) -> UInt64 {
        let size = parameters.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
        return try admit(
            .statement(statement, parameters: parameters, prepareFirst: false),
            bytes: size
        )
    }

    /// Takes in a script; answers the number under which it will be settled.
    mutating func ask(script: String) throws(PostgresError) -> UInt64 {
        try admit(.script(script), bytes: script.utf8.count)
    }

    private mutating func admit(_ sending: Sending, bytes size: Int) throws(PostgresError) -> UInt64
    {
        guard sent.count + waiting.count < limit else { throw .full(limit: limit) }
        // One that is larger than the limit may go alone.
        guard size == 0 || bytes == 0 || bytes + size <= byteLimit else {
            throw .full(limit: limit)
        }
        bytes += size
        nextID += 1
        waiting.append(Entry(id: nextID, sending: sending, bytes: size))
        return nextID
    }

    /// The next thing to send; nil while there is none, or while a script must be waited for.
    mutating func nextToSend() -> Sending? {
        guard let next = waiting.first, !isInScript else { return nil }
        if case .script = next.sending, !sent.isEmpty { return nil }
        waiting.removeFirst()
        var sending = next.sending
        if case .statement(let statement, let parameters, _) = sending {
            let isNew = prepared.insert(statement).inserted
            sending = .statement(statement, parameters: parameters, prepareFirst: isNew)
        }
        sent.append(Entry(id: next.id, sending: sending, bytes: next.bytes))
        return sending
    }

    // MARK: Answers

    /// Takes in what libpq handed out; nil is its mark between two results.
    mutating func take(_ reply: Reply?) -> Step {
        guard !sent.isEmpty else { return .more }
        guard let reply else { return isInScript ? .scriptEnded : .more }
        switch reply {
        case .rows(let rows):
            note(.success(rows))
            return .more
        case .refused(let error):
            note(.failure(error))
            return .more
        case .skipped: return .more
        case .farewell(let reason): return .broken(reason)
        case .copying: return .broken("COPY is not for this connection")
        case .synchronized: return settle()
        }
    }

    private mutating func note(_ result: Result<Rows, PostgresError>) {
        if case .statement(let statement, _, true) = sent[0].sending, sent[0].replies == 0 {
            notePreparation(of: statement, result)
        }
        sent[0].replies += 1
        // A refusal stands, whatever follows: the commit of what succeeded may be refused too.
        if case .failure = sent[0].outcome { return }
        sent[0].outcome = result
    }

    private mutating func notePreparation(
        of statement: Statement,
        _ result: Result<Rows, PostgresError>
    ) {
        switch result {
        case .success: refusedPreparations[statement] = nil
        case .failure(let error):
            refusedPreparations[statement] = error
            prepared.remove(statement)
        }
    }

    private mutating func settle() -> Step {
        let entry = sent.removeFirst()
        bytes -= entry.bytes
        guard case .statement(let statement, _, let prepareFirst) = entry.sending else {
            return .more
        }
        guard var outcome = entry.outcome else {
            return .broken("a statement was answered with nothing")
        }
        if case .failure(let error) = outcome, !prepareFirst {
            outcome = .failure(reconsider(error, of: statement))
        }
        return .settled(entry.id, outcome)
    }

    /// What the server says of a prepared statement that is not (26000), or not any more as it was
    /// (0A000 after a change of the schema), and makes the next use prepare it anew.
    private mutating func reconsider(
        _ error: PostgresError,
        of statement: Statement
    ) -> PostgresError {
        switch error.sqlState {
        case "26000":
            prepared.remove(statement)
            return refusedPreparations[statement] ?? error
        case "0A000":
            guard prepared.remove(statement) != nil else { return error }
            waiting.insert(Entry(id: 0, sending: .forget(statement), bytes: 0), at: 0)
            return error
        default: return error
        }
    }

    /// Says that a script left its transaction open, which the caller now rolls back.
    mutating func noteOpenTransaction() {
        if case .failure = sent.first?.outcome { return }
        sent[0].outcome = .failure(
            .malformed("a script left its transaction open, which was rolled back")
        )
    }

    /// Settles the script whose last result was read.
    mutating func endScript() -> (id: UInt64, outcome: Result<Rows, PostgresError>) {
        let entry = sent.removeFirst()
        bytes -= entry.bytes
        let nothing = Rows(columns: [], cells: [], rowCount: 0, affected: 0)
        return (entry.id, entry.outcome ?? .success(nothing))
    }

    /// Gives up on everything: what was sent is lost, what was not is refused.
    mutating func end(_ reason: String) -> [UInt64: PostgresError] {
        var errors: [UInt64: PostgresError] = [:]
        for entry in sent { errors[entry.id] = .lost(reason) }
        for entry in waiting { errors[entry.id] = .notConnected(reason) }
        self = Pipeline(limit: limit, byteLimit: byteLimit)
        return errors
    }
}
