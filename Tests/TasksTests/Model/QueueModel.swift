// SPDX-License-Identifier: Apache-2.0
import Tasks

/// What the queue must be after each step: the same promises as the SQL, kept one task at a time.
struct QueueModel {
    enum Place: Hashable {
        case ready
        case delayed
        case leased(worker: Int)
        case ended(TaskFate)
    }

    struct Entry {
        let id: Int
        let budget: String
        let pool: String
        let rank: Int
        let memoryMiB: Int
        /// What one attempt reserves, without its price.
        let worst: Units
        let maximum: Int
        let retryOn: Set<String>?
        var isPastDeadline = false
        var isCancelRequested = false
        var place: Place
        /// Of the present lease, or of the next.
        var fence = 1
        var attempt = 1
        var attempts = 0
        var lastFence = 0
        var verdict: String?
        /// What the present lease reserved, at which prices, and what its heartbeat said.
        var reserved = Units()
        var prices = Prices()
        var beat = Units()
        /// Still in the place where it was put first.
        var isUntouched = true

        var key: LeaseKey { LeaseKey(task: id, fence: fence) }
        var isOpen: Bool { if case .ended = place { false } else { true } }
    }

    struct Account {
        var caps: [Int?] = Array(repeating: nil, count: Units.names.count)
        var prices = Prices()
        var used = Units()
        var closed = Units()
        var reserved = Units()
        var isRejecting = false
        var isPaused = false
        var period = "total"
        /// The present time lies in a later period than the row's.
        var isPeriodOver = false

        mutating func roll() {
            guard isPeriodOver, period != "total" else { return }
            closed = closed + used
            used = Units()
            isPeriodOver = false
        }
    }

    struct Node {
        let name: String
        let pool: String
        var isRetired = false
        var isDraining = false
    }

    /// One attempt as a worker settles it.
    struct Ending {
        let key: LeaseKey
        let verdict: String
        /// `runs` and `money` mean nothing here.
        let figures: Units
    }

    private(set) var tasks: [Int: Entry] = [:]
    /// All tasks in the order in which they came.
    private(set) var ids: [Int] = []
    /// All that are open, or were when `tidy` was called last.
    private(set) var candidates: Set<Int> = []
    var accounts: [String: Account] = [:]
    var workers: [Int: Node] = [:]
    /// Whose key it is, and what was asked for under it.
    private(set) var keys: [String: (task: Int, asked: String)] = [:]
    private(set) var keyNames: [String] = []
    /// Leases that are over: their keys must never count again.
    var past: [LeaseKey] = []

    var open: [Entry] { candidates.sorted().compactMap { tasks[$0] }.filter(\.isOpen) }
    var leased: [Entry] { open.filter { if case .leased = $0.place { true } else { false } } }

    /// A task comes in, under a key or none.
    mutating func add(_ task: Entry, key: String?, asked: String) {
        tasks[task.id] = task
        ids.append(task.id)
        candidates.insert(task.id)
        guard let key else { return }
        keys[key] = (task.id, asked)
        keyNames.append(key)
    }

    /// Changes one task.
    mutating func change(_ id: Int, _ body: (inout Entry) -> Void) {
        guard var task = tasks[id] else { return }
        body(&task)
        tasks[id] = task
    }

    /// Forgets which tasks were open and are not.
    mutating func tidy() {
        candidates = candidates.filter { tasks[$0]?.isOpen ?? false }
    }

    // MARK: Leases

    /// What a worker gets when `ready` is what waits, lane by lane in the order of service. Ends on
    /// the way what is cancelled, too late, or beyond its budget.
    mutating func lease(
        worker: Int,
        most: Int,
        memoryMiB: Int,
        ready: [(budget: String, tasks: [Int])]
    ) -> [LeaseKey] {
        guard let node = workers[worker], !node.isDraining else { return [] }
        var left = most
        var memory = memoryMiB
        var keys: [LeaseKey] = []
        for lane in ready where !lane.tasks.isEmpty && left > 0 {
            guard var account = accounts[lane.budget], !account.isPaused else { continue }
            account.roll()
            var rest = lane.tasks[...]
            let room = memory
            var step = left
            var isDone = false
            while !isDone {
                // As long as all that is met is over, it goes on, in larger steps.
                isDone = true
                var isFull = false
                for id in rest.prefix(step) {
                    guard var task = tasks[id] else { continue }
                    let asked = account.prices.pricing(task.worst)
                    if let (fate, verdict) = Self.end(of: task, asked, account) {
                        task.place = .ended(fate)
                        task.verdict = verdict
                        isDone = false
                    } else if !isFull, left > 0, task.memoryMiB <= memory,
                        (account.used + account.reserved + asked).fit(account.caps)
                    {
                        task.place = .leased(worker: worker)
                        task.reserved = asked
                        task.prices = account.prices
                        task.beat = Units()
                        account.reserved = account.reserved + asked
                        memory -= task.memoryMiB
                        left -= 1
                        keys.append(task.key)
                    } else {
                        // What is too large for the node as it is stays, and blocks nobody.
                        isFull = isFull || task.memoryMiB <= room
                        continue
                    }
                    task.isUntouched = false
                    tasks[id] = task
                }
                rest = rest.dropFirst(step)
                isDone = isDone || isFull || left < 1
                step = 200
            }
            accounts[lane.budget] = account
        }
        return keys
    }

    /// How a task ends that a lease meets, if it does.
    private static func end(
        of task: Entry,
        _ asked: Units,
        _ account: Account
    ) -> (TaskFate, String?)? {
        if task.isCancelRequested { return (.cancelled, "cancelled") }
        if task.isPastDeadline { return (.expired, nil) }
        guard account.isRejecting, !(account.used + asked).fit(account.caps) else { return nil }
        return (.rejected, "budget")
    }

    /// Whether a lease is somebody's now.
    func isHeld(_ key: LeaseKey) -> Bool {
        guard let task = tasks[key.task], case .leased = task.place else { return false }
        return task.fence == key.fence
    }

    /// Settles attempts; answers those that counted, with the task's state.
    mutating func settle(_ endings: [Ending]) -> [LeaseKey: TaskFate] {
        var fates: [LeaseKey: TaskFate] = [:]
        for ending in endings where isHeld(ending.key) {
            guard var task = tasks[ending.key.task], var account = accounts[task.budget] else {
                continue
            }
            let paid = Self.paid(ending, task.reserved, task.prices)
            account.reserved = account.reserved - task.reserved
            account.used = account.used + paid
            accounts[task.budget] = account
            let fate = TaskFate.after(
                verdict: ending.verdict,
                isCancelled: task.isCancelRequested,
                retryOn: task.retryOn,
                attempt: task.attempt,
                of: task.maximum,
                isPastDeadline: task.isPastDeadline
            )
            past.append(ending.key)
            task.lastFence = task.fence
            task.fence += 1
            task.verdict = ending.verdict
            task.reserved = Units()
            let isSnoozed = ending.verdict == "snoozed"
            if !isSnoozed { task.attempts += 1 }
            if fate == .open {
                task.place = isSnoozed ? .ready : .delayed
                if !isSnoozed { task.attempt += 1 }
            } else {
                task.place = .ended(fate)
            }
            tasks[task.id] = task
            fates[ending.key] = fate
        }
        return fates
    }

    /// What an attempt is charged: never more than it reserved, and by the prices of that moment.
    private static func paid(_ ending: Ending, _ most: Units, _ prices: Prices) -> Units {
        func bounded(_ value: Int, _ most: Int) -> Int { min(max(value, 0), most) }
        var paid = Units(
            cpu: bounded(ending.figures.cpu, most.cpu),
            memory: bounded(ending.figures.memory, most.memory),
            wall: bounded(ending.figures.wall, most.wall),
            runs: ["snoozed", "engine_error"].contains(ending.verdict) ? 0 : 1,
            egress: bounded(ending.figures.egress, most.egress)
        )
        paid.money = min(most.money, prices.money(paid))
        return paid
    }

    /// Takes away what retired workers hold; answers as `settle`.
    mutating func sweep() -> [LeaseKey: TaskFate] {
        let lost = leased.filter { task in
            guard case .leased(let worker) = task.place else { return false }
            return workers[worker]?.isRetired ?? true
        }
        return settle(lost.map { Ending(key: $0.key, verdict: "lease_lost", figures: $0.beat) })
    }

    // MARK: People

    mutating func cancel(_ id: Int) -> String? {
        guard var task = tasks[id] else { return nil }
        defer { tasks[id] = task }
        switch task.place {
        case .ended(let fate): return fate.word
        case .delayed, .ready:
            task.isCancelRequested = true
            task.place = .ended(.cancelled)
            task.verdict = "cancelled"
            return "cancelled"
        case .leased:
            task.isCancelRequested = true
            return "cancelling"
        }
    }

    mutating func retry(_ id: Int) -> String? {
        guard var task = tasks[id] else { return nil }
        guard case .ended(let fate) = task.place else { return "open" }
        guard fate != .succeeded else { return fate.word }
        candidates.insert(id)
        task.place = .ready
        task.isCancelRequested = false
        task.isPastDeadline = false
        task.isUntouched = false
        task.verdict = nil
        task.attempt = 1
        task.fence = task.lastFence + 1
        tasks[id] = task
        return "ready"
    }

    /// Makes delayed tasks ready.
    mutating func promote(_ ids: [Int]) {
        for id in ids {
            change(id) { task in
                task.place = .ready
                task.isUntouched = false
            }
        }
    }
}
