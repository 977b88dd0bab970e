// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Three daemons on one database, and something is killed twice a second: a daemon, a launcher, an
/// init, a backend of PostgreSQL.
///
/// It has a server of its own (scripts/drill), for a killed backend takes every session with it.
@Suite("The crash drill", .ownDaemon, .database, .root, .alone, .serialized, .drill)
struct DrillTests {
    static let seconds = number("SANDBOXD_DRILL_SECONDS") ?? 0
    private static let tasks = number("SANDBOXD_DRILL_TASKS") ?? 200
    private static let pauseMilliseconds = 500

    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    private enum Victim: String, CaseIterable {
        case daemon, launcher, sandboxInit, backend
    }

    @Test("every task ends once, no two attempts overlap, and the budgets are the sum of attempts")
    func drill() throws {
        let database = try TestDatabase()
        let options = ["--database", database.string, "--lease-time", "4", "--memory", "8192"]
        var daemons = try (0..<3).map { _ in try TestDaemon(options) }
        let mark = Sandboxes.mark()
        try submit(mark, to: daemons[0].api)

        var killed: [String: Int] = [:]
        var overlaps: Set<String> = []
        let end = Host.milliseconds + Self.seconds * 1000
        var generator = SystemRandomNumberGenerator()
        while Host.milliseconds < end {
            let next = Host.milliseconds + Self.pauseMilliseconds
            let victim = Victim.allCases.randomElement(using: &generator) ?? .daemon
            let index = Int.random(in: daemons.indices)
            if try kill(victim, of: daemons[index], database) {
                killed[victim.rawValue, default: 0] += 1
            }
            if victim == .daemon {
                daemons[index] = try TestDaemon(options, directory: daemons[index].directory)
            }
            while Host.milliseconds < next {
                overlaps.formUnion(Self.overlaps(mark))
                usleep(10_000)
            }
        }
        let ended = Host.waits(upTo: .seconds(180)) {
            overlaps.formUnion(Self.overlaps(mark))
            // A backend that was killed last is not back yet.
            return
                (try? database.number(
                    "SELECT count(*) FROM sandboxd.tasks WHERE state = 0"
                )) == 0
        }
        #expect(ended, "tasks are left over")
        #expect(overlaps.isEmpty, "\(overlaps)")
        try check(database)
        for daemon in daemons {
            let leaks = try daemon.api.send("GET", "/v1/leaks")
            #expect(leaks["leaks"]?.elements.isEmpty == true, "\(leaks)")
        }
        let attempts = try database.query(
            "SELECT verdict, charged_from, count(*) FROM sandboxd.task_attempts GROUP BY 1, 2"
        )
        print("killed \(killed); attempts: \(attempts.sorted())")
        for daemon in daemons { daemon.stop() }
    }

    private func submit(_ mark: String, to api: API) throws {
        try api.waitUntilQueueIsReady()
        try api.send(
            "PUT",
            "/v1/budgets/drill",
            .object(["price_cpu_s": .number(1000), "price_run": .number(1)])
        )
        // Spread over the drill, so that there always is something to lose.
        let first = Date.now
        let tasks = (0..<Self.tasks).map { number -> JSON in
            let late = Double(Self.seconds * number) / Double(Self.tasks)
            return .object([
                "run_at": .string(first.addingTimeInterval(late).ISO8601Format()),
                "profile": .string("code"), "budget": .string("drill"),
                "max_attempts": .number(100),
                // The shell keeps its arguments while it waits: one such process is one attempt.
                "argv": .array(
                    ["sh", "-c", "sleep \(1 + number % 5); true", "\(mark)-\(number)"]
                        .map(JSON.string)
                ),
            ])
        }
        try api.send("POST", "/v1/tasks", .object(["tasks": .array(tasks)]), status: 202)
    }

    /// Kills one; false when there is none at the moment.
    private func kill(
        _ victim: Victim,
        of daemon: TestDaemon,
        _ database: TestDatabase
    ) throws -> Bool {
        let family = ProcessTable().descendants(of: daemon.pid)
        // Each init is a copy of its launcher, arguments included.
        let copies = family.filter { ProcessTable.arguments($0.pid).contains("launch-mapped") }
        let names = Set(copies.map(\.pid))
        let launchers = copies.filter { !names.contains($0.parent) }
        switch victim {
        case .daemon: daemon.kill9()
        case .launcher:
            guard let launcher = launchers.first else { return false }
            Glibc.kill(launcher.pid, SIGKILL)
        case .sandboxInit:
            let parents = Set(launchers.map(\.pid))
            guard let one = family.filter({ parents.contains($0.parent) }).randomElement() else {
                return false
            }
            Glibc.kill(one.pid, SIGKILL)
        case .backend:
            // A server that is just recovering has none.
            let pids = try? database.query(
                """
                SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
            guard let pid = pids?.randomElement().flatMap({ pid_t($0) }) else { return false }
            Glibc.kill(pid, SIGKILL)
        }
        return true
    }

    /// The tasks of which two attempts live at this moment.
    private static func overlaps(_ mark: String) -> Set<String> {
        // A shell that has just forked is there twice, but in one namespace.
        var places: [String: Set<String>] = [:]
        for name in ProcessTable.names("/proc") {
            guard let pid = pid_t(name), let last = ProcessTable.arguments(pid).last,
                last.hasPrefix(mark), ProcessTable.entry(pid)?.isDead == false
            else { continue }
            var link = [CChar](repeating: 0, count: 64)
            guard readlink("/proc/\(pid)/ns/pid", &link, 63) > 0 else { continue }
            let place = String(decoding: link.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
            places[last, default: []].insert(place)
        }
        return Set(places.filter { $0.value.count > 1 }.keys)
    }

    private func check(_ database: TestDatabase) throws {
        let states = try database.query(
            "SELECT sandboxd.state_word(state), count(*) FROM sandboxd.tasks GROUP BY 1"
        )
        #expect(states == ["succeeded|\(Self.tasks)"], "\(states)")
        let twice = try database.query(
            """
            SELECT task_id FROM sandboxd.task_attempts WHERE verdict = 'ok'
            GROUP BY task_id HAVING count(*) <> 1
            """
        )
        #expect(twice.isEmpty, "settled twice: \(twice)")
        let left = try database.query(
            """
            SELECT (SELECT count(*) FROM sandboxd.task_leases),
                (SELECT count(*) FROM sandboxd.task_ready),
                (SELECT count(*) FROM sandboxd.task_delayed)
            """
        )
        #expect(left == ["0|0|0"])
        let accounts = try database.query(
            """
            SELECT b.cpu_ms_used - sum(a.cpu_ms), b.memory_mib_s_used - sum(a.memory_mib_s),
                b.wall_ms_used - sum(a.wall_ms), b.runs_used - sum(a.runs),
                b.money_nanos_used - sum(a.money_nanos), b.cpu_ms_reserved,
                b.memory_mib_s_reserved, b.wall_ms_reserved, b.runs_reserved,
                b.money_nanos_reserved
            FROM sandboxd.budgets b JOIN sandboxd.task_attempts a USING (budget_id)
            WHERE b.budget = 'drill' GROUP BY b.budget_id
            """
        )
        #expect(accounts == ["0|0|0|0|0|0|0|0|0|0"])
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs to be asked for, and a server that nobody else uses.
    static var drill: Self {
        .enabled(if: DrillTests.seconds > 0, "SANDBOXD_DRILL_SECONDS is not set: run scripts/drill")
    }
}
