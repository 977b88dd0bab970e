// SPDX-License-Identifier: Apache-2.0
internal import Crypto
package import Postgres

/// The schema `sandboxd`, as numbered files that are applied once each, in order, forwards only.
package enum Migrations {
    /// One file of `Schema/`.
    package struct Migration: Sendable, Hashable {
        package let version: Int
        package let name: String
        package let sql: String
        /// Of the file, in hex.
        package let sha256: String
    }

    /// What a database has, compared with what this program has.
    package enum State: Sendable, Hashable {
        /// No schema.
        case absent
        /// An older one.
        case older(version: Int)
        case current
        /// A newer one, which only a newer program understands.
        case newer(version: Int)
        /// One to which a file `name` belongs that is not this program's: another build made it.
        case different(version: Int, name: String)
    }

    /// All of them, in order. The list is by hand, because the package manager makes a name of each
    /// file that no program can enumerate; a test holds it against the folder.
    package static let all: [Migration] = [
        migration("0001-tables", PackageResources._001_tables_sql),
        migration("0002-words", PackageResources._002_words_sql),
        migration("0003-enqueue", PackageResources._003_enqueue_sql),
        migration("0004-lease", PackageResources._004_lease_sql),
        migration("0005-settle", PackageResources._005_settle_sql),
        migration("0006-reaper", PackageResources._006_reaper_sql),
        migration("0007-budgets", PackageResources._007_budgets_sql),
        migration("0008-engines", PackageResources._008_engines_sql),
        migration("0009-canary", PackageResources._009_canary_sql),
        migration("0010-approvals", PackageResources._010_approvals_sql),
    ]

    private static let deadline = Duration.seconds(60)
    private static let isThereStatement = Statement(
        "schema_is_there",
        """
        SELECT CASE WHEN to_regclass('sandboxd.schema_migrations') IS NULL THEN 0 ELSE 1 END AS is_there
        """
    )
    private static let appliedStatement = Statement(
        "schema_applied",
        "SELECT current_setting('sandboxd.applied', true) AS names"
    )
    /// As an object, for one that another build made may lack a column.
    private static let filesStatement = Statement(
        "schema_files",
        """
        SELECT m.version, m.name, to_jsonb(m) ->> 'sha256' AS sha256
        FROM sandboxd.schema_migrations m ORDER BY m.version
        """
    )

    /// How a database stands.
    package static func state(of client: Client) async throws(TaskError) -> State {
        let found = try await files(of: client)
        guard let version = found.last?.version else { return .absent }
        if version > all.count { return .newer(version: version) }
        for (file, ours) in zip(found, all) where file.sha256 != ours.sha256 {
            return .different(version: version, name: file.name)
        }
        return version == all.count ? .current : .older(version: version)
    }

    /// Brings a database to this program's schema; answers the names of what this call has applied.
    /// One transaction under a lock: of several that migrate at once, one does it and the others
    /// find nothing to do. Refuses a newer schema, and another build's.
    package static func migrate(_ client: Client) async throws(TaskError) -> [String] {
        try check(try await state(of: client))
        let applied = try await apply(client)
        // Another build may have been faster while this one waited for the lock.
        try check(try await state(of: client))
        return applied
    }

    /// Refuses what this program cannot bring up to date.
    private static func check(_ state: State) throws(TaskError) {
        switch state {
        case .absent, .older, .current: break
        case .newer(let version):
            throw .schema(
                "it is version \(version), and this program knows \(all.count): use a newer sandboxd"
            )
        case .different(_, let name):
            throw .schema(
                "another build of sandboxd made it, with another '\(name)': use that build, or put "
                    + "its data aside (ALTER SCHEMA sandboxd RENAME TO sandboxd_before), and then "
                    + "run 'sandboxd db migrate'"
            )
        }
    }

    /// Applies what is not there yet, whoever made the rest.
    private static func apply(_ client: Client) async throws(TaskError) -> [String] {
        // The lock is taken first; what another has applied meanwhile is found applied.
        let steps = all.map { step($0) }.joined(separator: "\n")
        do throws(PostgresError) {
            try await client.script(
                """
                BEGIN;
                SET LOCAL statement_timeout = 0;
                SELECT pg_advisory_xact_lock(hashtextextended('sandboxd.migrate', 0));
                SELECT set_config('sandboxd.applied', '', false);
                \(steps)
                SELECT sandboxd.maintain();
                COMMIT;
                """,
                deadline: deadline
            )
            // The session's own note. Should the connection be lost in between, nobody knows any
            // more.
            let applied = try await client.query(appliedStatement, deadline: deadline).only()
            return (try applied.optionalText("names") ?? "").split(separator: " ").map(String.init)
        } catch {
            throw TaskError(error)
        }
    }

    /// One migration as a statement that does nothing when it has been applied.
    private static func step(_ migration: Migration) -> String {
        """
        DO $migrate$
        BEGIN
            IF to_regclass('sandboxd.schema_migrations') IS NOT NULL THEN
                -- By itself: an expression with a table that is not there cannot even be planned.
                IF EXISTS (SELECT FROM sandboxd.schema_migrations
                    WHERE version = \(migration.version)) THEN
                    RETURN;
                END IF;
            END IF;
            EXECUTE $migration$\(migration.sql)$migration$;
            INSERT INTO sandboxd.schema_migrations (version, name, sha256)
            VALUES (\(migration.version), '\(migration.name)', '\(migration.sha256)');
            PERFORM set_config('sandboxd.applied',
                current_setting('sandboxd.applied') || '\(migration.name) ', false);
        END $migrate$;
        """
    }

    /// What a database has of them, in order; none without a schema.
    private static func files(
        of client: Client
    ) async throws(TaskError) -> [(version: Int, name: String, sha256: String?)] {
        do throws(PostgresError) {
            let isThere = try await client.query(isThereStatement, deadline: deadline).only()
            guard try isThere.int("is_there") == 1 else { return [] }
            var found: [(version: Int, name: String, sha256: String?)] = []
            for row in try await client.query(filesStatement, deadline: deadline) {
                found.append(
                    (
                        try row.int("version"), try row.text("name"),
                        try row.optionalText("sha256")
                    )
                )
            }
            return found
        } catch {
            throw TaskError(error)
        }
    }

    private static func migration(_ file: String, _ bytes: [UInt8]) -> Migration {
        let number = file.prefix { $0.isNumber }
        precondition(Int(number) != nil, "a migration's name begins with its number")
        return Migration(
            version: Int(number) ?? 0,
            name: file,
            sql: String(decoding: bytes, as: UTF8.self),
            sha256: SHA256.hash(data: bytes).map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined()
        )
    }
}
