// SPDX-License-Identifier: Apache-2.0
import Kernel
import Testing

@testable import Postgres

@Suite(.database, .timeLimit(.minutes(5))) struct ClientTests {
    private func session() -> Session {
        var session = Session()
        session.patience = .seconds(10)
        return session
    }

    /// The next state that is what is asked for.
    private func wait(
        _ states: AsyncStream<Client.State>,
        until isIt: (Client.State) -> Bool
    ) async {
        for await state in states where isIt(state) { return }
    }

    @Test("a client answers as soon as it runs, in a session that is set up")
    func settings() async throws {
        var session = session()
        session.applicationName = "client test"
        session.statementTimeout = .milliseconds(1500)
        let client = Client(try Database.target(), session: session, on: try Database.loop.get())
        try await Database.withClient(client) { client in
            let show = Statement(
                "show",
                "SELECT current_setting('statement_timeout') AS timeout,"
                    + " current_setting('idle_in_transaction_session_timeout') AS idle,"
                    + " current_setting('application_name') AS name"
            )
            let row = try await client.query(show, deadline: .seconds(5)).only()
            #expect(try row.text("timeout") == "1500ms")
            #expect(try row.text("idle") == "10s")
            #expect(try row.text("name") == "client test")
            #expect(await client.state == .connected)
        }
        #expect(await client.state == .disconnected(.notConnected("it was closed")))
    }

    @Test("after its backend is killed a client connects, prepares and listens anew")
    func reconnects() async throws {
        var session = session()
        session.channels = ["client \"test\""]
        let (heard, teller) = AsyncStream.makeStream(of: Postgres.Notification.self)
        let (states, observer) = AsyncStream.makeStream(of: Client.State.self)
        let client = Client(
            try Database.target(),
            session: session,
            on: try Database.loop.get(),
            notified: { teller.yield($0) },
            observed: { observer.yield($0) }
        )
        try await Database.withClient(client) { client in
            let pid = Statement("pid", "SELECT pg_backend_pid() AS pid")
            let first = try await client.query(pid, deadline: .seconds(5)).only().int("pid")
            try await Database.withConnection { other in
                _ = try await other.query(.terminate, ["\(first)"], deadline: .seconds(5))
            }
            await wait(states) { $0 != .connected }
            let second = try await client.query(pid, deadline: .seconds(5)).only().int("pid")
            #expect(first != second)
            try await Database.withConnection { other in
                let notify = Statement("notify", #"SELECT pg_notify('client "test"', $1)"#)
                _ = try await other.query(notify, ["hello"], deadline: .seconds(5))
            }
            var notifications = heard.makeAsyncIterator()
            #expect(await notifications.next()?.payload == "hello")
        }
    }

    @Test("a refused write to a read-only server makes the client look for another")
    func readOnly() async throws {
        let (states, observer) = AsyncStream.makeStream(of: Client.State.self)
        let client = Client(
            try Database.target(),
            session: session(),
            on: try Database.loop.get(),
            observed: { observer.yield($0) }
        )
        try await Database.withClient(client) { client in
            try await client.script(
                "SET default_transaction_read_only = on",
                deadline: .seconds(5)
            )
            let write = Statement("write", "CREATE TABLE read_only_test (a int)")
            let error = await Database.failure { () async throws(PostgresError) in
                try await client.query(write, deadline: .seconds(5))
            }
            #expect(error?.sqlState == "25006")
            await wait(states) { $0 != .connected }
            // The new session may write.
            _ = try await client.query(
                Statement("temp", "CREATE TEMP TABLE writable (a int)"),
                deadline: .seconds(5)
            )
        }
    }

    @Test("a client without a server says why, at once when there is no prospect")
    func unreachable() async throws {
        var session = Session()
        session.patience = .milliseconds(10)
        let (states, observer) = AsyncStream.makeStream(of: Client.State.self)
        let client = Client(
            try ConnectionTarget("host=/no/such/place user=ann password=hunter2"),
            session: session,
            on: try Database.loop.get(),
            observed: { observer.yield($0) }
        )
        try await Database.withClient(client) { client in
            await wait(states) { $0 != .connected }
            let error = await Database.failure { () async throws(PostgresError) in
                try await client.query(.one, deadline: .seconds(5))
            }
            guard case .notConnected(let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("/no/such/place"))
            #expect(!reason.contains("hunter2"))
        }
    }

    @Test("a preparation that throws keeps the connection from everybody")
    func prepare() async throws {
        var session = Session()
        session.patience = .milliseconds(10)
        session.prepare = { connection throws(PostgresError) in
            _ = try await connection.query(.nonsense, deadline: .seconds(5))
        }
        let (states, observer) = AsyncStream.makeStream(of: Client.State.self)
        let client = Client(
            try Database.target(),
            session: session,
            on: try Database.loop.get(),
            observed: { observer.yield($0) }
        )
        try await Database.withClient(client) { client in
            var iterator = states.makeAsyncIterator()
            guard case .disconnected(let error) = await iterator.next() else {
                Issue.record("it counts as connected")
                return
            }
            #expect(error.sqlState == "42P01")
        }
    }

    @Test("the end of the task is the end of the client")
    func cancelled() async throws {
        let client = Client(try Database.target(), session: session(), on: try Database.loop.get())
        let run = Task { await client.run() }
        _ = try await client.query(.one, deadline: .seconds(5))
        run.cancel()
        await run.value
        #expect(await client.state == .disconnected(.notConnected("it was closed")))
    }
}
