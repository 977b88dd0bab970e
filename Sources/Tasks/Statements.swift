// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// The statements that workers send; each calls one function of `Schema/`.
enum Statements {
    static let check = Statement("check", "SELECT 1")
    static let register = Statement(
        "register",
        "SELECT sandboxd.register_worker($1, $2::float8, 'sandbox', $3, $4) AS worker"
    )
    static let heartbeat = Statement(
        "heartbeat",
        """
        SELECT task_id, fence, why FROM sandboxd.heartbeat($1::int, $2::float8, $3::bigint[],
            $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
        """
    )
    static let setWaiting = Statement(
        "set_waiting",
        "SELECT sandboxd.set_waiting($1::int, $2::boolean)"
    )
    static let keepCircuit = Statement(
        "keep_circuit",
        "SELECT sandboxd.keep_circuit($1, $2, $3::int, $4, $5::float8)"
    )
    static let circuit = Statement(
        "circuit",
        "SELECT failures, reason, cooldown_ms FROM sandboxd.circuit($1, $2)"
    )
    static let drain = Statement("drain", "SELECT sandboxd.drain($1::int, $2::boolean)")
    static let lease = Statement(
        "lease",
        """
        SELECT task_id, fence, attempt, attempt_id, lane, budget, profile, spec, memory_mib,
            (extract(epoch FROM deadline_at - now()) * 1000)::bigint AS deadline_ms
        FROM sandboxd.lease($1::int, $2::int, $3::bigint, $4::int)
        """
    )
    /// The first of each lane that its budget can pay now; see `MemorySaving`.
    static let heads = Statement(
        "heads",
        """
        SELECT h.task_id, l.lane, t.memory_mib
        FROM sandboxd.lanes l
        JOIN sandboxd.budgets b ON b.budget_id = l.budget_id AND NOT b.paused
        CROSS JOIN LATERAL (
            SELECT r.task_id FROM sandboxd.task_ready r WHERE r.lane = l.lane
            ORDER BY r.lane, r.rank, r.seq LIMIT 1
        ) AS h
        JOIN sandboxd.tasks t ON t.task_id = h.task_id
        WHERE l.pool = 'sandbox'
            AND t.cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used - b.cpu_ms_reserved
            AND t.memory_mib_s
                <= b.memory_mib_s_cap - b.memory_mib_s_used - b.memory_mib_s_reserved
            AND t.wall_ms <= b.wall_ms_cap - b.wall_ms_used - b.wall_ms_reserved
            AND 1 <= b.runs_cap - b.runs_used - b.runs_reserved
            AND t.egress_bytes
                <= b.egress_bytes_cap - b.egress_bytes_used - b.egress_bytes_reserved
            AND sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, b.price_cpu_s,
                b.price_memory_gib_s, b.price_run, b.price_egress_gib)
                <= b.money_nanos_cap - b.money_nanos_used - b.money_nanos_reserved
        """
    )
    static let beginRun = Statement(
        "begin_run",
        """
        SELECT task_id, fence FROM sandboxd.begin_run($1::int, $2::uuid, $3, $4::jsonb, $5, $6,
            $7::bigint, $8::bigint, $9::bigint, $10::bigint)
        """
    )
    static let enqueue = Statement(
        "enqueue",
        "SELECT task_id, created FROM sandboxd.enqueue_many($1::jsonb) ORDER BY ord"
    )
    static let cancel = Statement("cancel", "SELECT sandboxd.cancel($1::bigint) AS state")
    static let retry = Statement("retry", "SELECT sandboxd.retry($1::bigint) AS state")
    static let settle = Statement(
        "settle",
        """
        SELECT task_id, fence, state FROM sandboxd.settle($1::bigint[], $2::int[], $3::text[],
            $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
            $10::text[])
        """
    )
    static let settledBefore = Statement(
        "settled_before",
        """
        SELECT a.task_id, a.fence, t.state
        FROM unnest($2::bigint[], $3::int[]) AS u (task_id, fence)
        JOIN sandboxd.task_attempts a ON a.task_id = u.task_id AND a.fence = u.fence
        JOIN sandboxd.tasks t ON t.task_id = a.task_id
        WHERE a.worker_id = $1::int AND a.charged_from = 'measured'
            -- What a cgroup told is settled by nobody else than its own node.
            OR $1::int = 0 AND a.charged_from = 'cgroup'
        """
    )
    static let sweep = Statement(
        "sweep",
        "SELECT task_id, fence FROM sandboxd.sweep(1000, $1::int[], $2::bigint[])"
    )
    static let pulses = Statement(
        "pulses",
        """
        SELECT worker_id, beats, ttl_s, lease_until < now() AS is_past
        FROM sandboxd.workers WHERE NOT retired
        """
    )
    static let wake = Statement("wake", "SELECT sandboxd.wake()")
    static let leases = Statement(
        "leases",
        "SELECT task_id, fence FROM sandboxd.task_leases WHERE worker_id = $1::int"
    )
    static let retiredLeases = Statement(
        "retired_leases",
        """
        SELECT l.task_id, l.fence FROM sandboxd.task_leases l
        JOIN sandboxd.workers w ON w.worker_id = l.worker_id WHERE w.retired
        """
    )
    static let promote = Statement(
        "promote",
        "SELECT sandboxd.promote() AS promoted FROM (SELECT sandboxd.roll_budgets()) AS rolled"
    )
    static let maintain = Statement(
        "maintain",
        "SELECT sandboxd.maintain($1::int) FROM (SELECT sandboxd.expire_canaries($1::int)) AS expired"
    )
    static let expireTasks = Statement(
        "expire_tasks",
        "SELECT sandboxd.expire_tasks($1::int, $2::bigint) AS next"
    )
    static let expireBlobs = Statement(
        "expire_blobs",
        "SELECT encode(sandboxd.expire_blobs(decode($1, 'hex')), 'hex') AS next"
    )
    static let publish = Statement(
        "publish",
        """
        INSERT INTO sandboxd.profiles AS p
            (profile, cpu_ms, wall_ms, memory_mib, egress_bytes, approval, swap_bytes)
        VALUES ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6, $7::bigint)
        ON CONFLICT (profile) DO UPDATE SET cpu_ms = excluded.cpu_ms, wall_ms = excluded.wall_ms,
            memory_mib = excluded.memory_mib, egress_bytes = excluded.egress_bytes,
            approval = excluded.approval, swap_bytes = excluded.swap_bytes, changed_at = now()
        WHERE (p.cpu_ms, p.wall_ms, p.memory_mib, p.egress_bytes, p.approval::text, p.swap_bytes)
            <> (excluded.cpu_ms, excluded.wall_ms, excluded.memory_mib, excluded.egress_bytes,
                excluded.approval::text, excluded.swap_bytes)
        """
    )
}
