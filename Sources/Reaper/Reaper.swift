// SPDX-License-Identifier: Apache-2.0
package import Kernel
package import Spawner
internal import SystemPackage
package import Tasks

/// Compares what is there with what should be, every few seconds, and removes what was left behind.
///
/// Level-triggered: it needs to be told nothing, and what it missed once it sees the next time. A
/// thing is taken for left behind when two looks in a row see it, for between a cgroup's making and
/// its run's beginning there is always a moment. Leases are the database's to sweep.
package actor Reaper {
    private static let pause = Duration.seconds(3)
    /// How often artifacts are looked through, in sweeps: about once an hour.
    private static let sweepsPerExpiry = 1200

    private let engines: [any Engine]
    private let cgroups: any CgroupTree
    private let records: AttemptRecords
    private let artifacts: ArtifactStore
    private let keeping: Duration
    private let state: String
    private let queue: TaskQueue?
    private let worker: Worker?
    private let report: @Sendable (String) -> Void
    private var suspects: Set<String> = []
    private var suspectStrays: [Set<Stray>] = []

    /// `state` is the daemon's directory; artifacts are kept for `keeping`; `report` is told of each
    /// thing removed.
    package init(
        engines: [any Engine],
        cgroups: any CgroupTree,
        records: AttemptRecords,
        artifacts: ArtifactStore,
        keeping: Duration,
        state: String,
        queue: TaskQueue?,
        worker: Worker?,
        report: @escaping @Sendable (String) -> Void
    ) {
        self.engines = engines
        self.cgroups = cgroups
        self.records = records
        self.artifacts = artifacts
        self.keeping = keeping
        self.state = state
        self.queue = queue
        self.worker = worker
        self.report = report
    }

    /// Sweeps until the task is cancelled.
    package func run() async {
        var sweeps = 0
        while !Task.isCancelled {
            await sweep()
            if sweeps % Self.sweepsPerExpiry == 0 { await expire() }
            sweeps += 1
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// Removes cgroups that were of no cell at the last look and are of none now.
    private func sweep() async {
        let strays = await strayCgroups()
        for name in strays.intersection(suspects) {
            do throws(CgroupError) {
                try cgroups.sweep(name)
                report("removed the cgroup \(name), which was left behind")
            } catch {
                report("the cgroup \(name) was left behind and stays: \(error)")
            }
        }
        suspects = strays
        await sweepEngines()
    }

    /// Removes what engines hold for this node and no cell of theirs has, at two looks in a row.
    private func sweepEngines() async {
        var seen: [Set<Stray>] = []
        for (index, engine) in engines.enumerated() {
            let before = suspectStrays.indices.contains(index) ? suspectStrays[index] : []
            let strays: Set<Stray>
            do throws(SpawnError) { strays = try await engine.strays() } catch {
                // `status` tells of an engine that cannot be asked; what was seen stays in mind.
                seen.append(before)
                continue
            }
            for stray in strays.intersection(before) {
                do throws(SpawnError) {
                    try await engine.remove(stray)
                    report("removed the \(stray.kind) \(stray.name), which was left behind")
                } catch {
                    report("the \(stray.kind) \(stray.name) was left behind and stays: \(error)")
                }
            }
            seen.append(strays)
        }
        suspectStrays = seen
    }

    private func expire() async {
        do throws(Errno) {
            let removed = try await artifacts.expire(olderThan: keeping)
            if removed > 0 { report("removed \(removed) artifacts that were too old") }
        } catch {
            report("the artifacts could not be looked through: \(error)")
        }
    }

    /// What is there and should not be, or should be and is not; in order.
    package func leaks() async -> [Leak] {
        let first = await look()
        // What is just coming or going is gone, or has come, by then.
        try? await Task.sleep(for: .milliseconds(500))
        return await look().intersection(first).sorted()
    }

    private func look() async -> Set<Leak> {
        var leaks = Set(await strayCgroups().map { Leak(.cgroup, $0) })
        // A table that cannot be read shows nothing; the kernel always lets it be read.
        for mount in (try? MountTable())?.mounts ?? [] where mount.target.hasPrefix(state + "/") {
            leaks.insert(Leak(.mount, mount.target))
        }
        for engine in engines {
            do throws(SpawnError) {
                for stray in try await engine.strays() { leaks.insert(Leak(stray)) }
            } catch {
                leaks.insert(Leak(.unknown, "what \(engine.name) has: \(error)"))
            }
        }
        for name in records.strays() { leaks.insert(Leak(.record, name)) }
        guard let queue, let worker, case .registered(let number) = await worker.state else {
            return leaks
        }
        let held = Set(await worker.held)
        do throws(TaskError) {
            let leased = try await queue.leases(of: number)
            let over = try await queue.leasesOfRetired()
            for key in leased.subtracting(held) { leaks.insert(Leak(.lease, "\(key)")) }
            for key in held.subtracting(leased) { leaks.insert(Leak(.attempt, "\(key)")) }
            for key in over { leaks.insert(Leak(.retired, "\(key)")) }
        } catch {
            // `status` says that the database cannot be asked.
        }
        return leaks
    }

    private func strayCgroups() async -> Set<String> {
        // The tree first: a cell that is made in between is in the inventory.
        let there = cgroups.inventory()
        var known: Set<String> = []
        for engine in engines { known.formUnion(await engine.inventory) }
        return there.subtracting(known)
    }
}
