// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("Tasks that are enqueued with SQL by hand", .database, .timeLimit(.minutes(10)))
struct EnqueueByHandTests {
    @Test("enqueue() has a parameter for whatever a task of a batch may say, but blobs")
    func parameters() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let parameters = try await connection.value(
                    """
                    SELECT string_agg(substr(a, 3), ', ' ORDER BY substr(a, 3)) AS value
                    FROM unnest((SELECT proargnames FROM pg_proc
                        WHERE oid = to_regproc('sandboxd.enqueue'))) AS a
                    """
                )
                let error = await failure { () throws(PostgresError) in
                    try await connection.rows("SELECT sandboxd.enqueue_many('[{\"no\": 1}]')")
                }
                // "a task has no key 'no' (known: …)"
                let message = "\(try #require(error))"
                let known = try #require(message.split(separator: "known: ").last)
                let keys = known.prefix { $0 != ")" }.split(separator: ", ").map(String.init)
                let wanted = keys.filter { $0 != "blobs" }.sorted().joined(separator: ", ")
                #expect(parameters == wanted)
            }
        }
    }

    @Test("a deadline and verdicts to retry on are kept, and refused as in a batch")
    func deadlineAndRetries() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                _ = try await connection.rows(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}',
                        p_deadline_at => now() + interval '1 hour',
                        p_retry_on => ARRAY['exit', 'oom'])
                    """
                )
                let row = try await connection.rows(
                    """
                    SELECT array_to_string(retry_on, ' ') AS retry_on,
                        deadline_at - created_at AS patience FROM sandboxd.tasks
                    """
                ).only()
                #expect(try row.text("retry_on") == "exit oom")
                #expect(try row.text("patience") == "01:00:00")
                for bad in ["p_deadline_at => now() - interval '1 hour'", "p_retry_on => '{ok}'"] {
                    let error = await failure { () throws(PostgresError) in
                        try await connection.rows(
                            "SELECT sandboxd.enqueue('code', '{\"argv\":[\"true\"]}', \(bad))"
                        )
                    }
                    #expect(error?.sqlState == "SB002", "\(bad)")
                }
            }
        }
    }

    @Test(
        "a task reserves its memory and its swap together, as a node admits it",
        arguments: [
            ("{}", 512), (#"{"memory_bytes":67108864}"#, 320), (#"{"swap_bytes":0}"#, 256),
            (#"{"memory_bytes":67108864,"swap_bytes":1048576}"#, 65), (#"{"memory_bytes":1}"#, 257),
        ]
    )
    func swap(limits: String, wanted: Int) async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                var worst = Charge()
                worst.cpuMilliseconds = 1000
                worst.wallMilliseconds = 2000
                try await queue.publish(
                    profile: "swapping",
                    worstCase: worst,
                    memoryMiB: 512,
                    swapBytes: 256 << 20,
                    approval: "never"
                )
            }
            try await database.withConnection { connection in
                let row = try await connection.rows(
                    """
                    WITH made AS (SELECT sandboxd.enqueue('swapping',
                        jsonb_build_object('argv', '["true"]'::jsonb, 'limits', $1::jsonb)) AS id)
                    SELECT id FROM made
                    """,
                    limits
                ).only()
                #expect(try row.int("id") == 1)
                let reserved = try await connection.rows(
                    "SELECT memory_mib, memory_mib_s FROM sandboxd.tasks"
                ).only()
                #expect(try reserved.int("memory_mib") == wanted)
                #expect(try reserved.int("memory_mib_s") == 2 * wanted)
                // Neither passes its own limit, even where both together would fit.
                for bad in [#"{"memory_bytes":268435457}"#, #"{"swap_bytes":268435457}"#] {
                    let error = await failure { () throws(PostgresError) in
                        try await connection.rows(
                            """
                            SELECT sandboxd.enqueue('swapping', jsonb_build_object(
                                'argv', '["true"]'::jsonb, 'limits', $1::jsonb))
                            """,
                            bad
                        )
                    }
                    #expect(error?.sqlState == "SB002", "\(bad)")
                }
            }
        }
    }
}
