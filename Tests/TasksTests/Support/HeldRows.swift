// SPDX-License-Identifier: Apache-2.0
import Postgres

/// What tests of rows in somebody's hand wait for.
enum HeldRows {
    /// Ends when somebody in this database waits for an advisory lock.
    static let somebodyWaits = """
        DO $$ BEGIN
            FOR i IN 1..2000 LOOP
                PERFORM pg_stat_clear_snapshot();
                IF EXISTS (SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event = 'advisory') THEN
                    RETURN;
                END IF;
                PERFORM pg_sleep(0.005);
            END LOOP;
            RAISE 'nobody waits';
        END $$
        """
}

extension TaskDatabase {
    /// Runs `body` while somebody else has in hand the rows that a query locks.
    func holding(_ query: String, _ body: () async throws -> Void) async throws {
        try await withConnection { gate in
            _ = try await gate.rows("SELECT pg_advisory_lock(7)")
            async let holder: Void = run(
                """
                DO $$ BEGIN
                    PERFORM \(query);
                    PERFORM pg_advisory_lock(7);
                END $$
                """
            )
            try await gate.script(
                HeldRows.somebodyWaits,
                deadline: .seconds(20)
            )
            try await body()
            _ = try await gate.rows("SELECT pg_advisory_unlock(7)")
            try await holder
        }
    }
}
