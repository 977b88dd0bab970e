// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// Tells by this node's own clock which workers beat no more. Pure: time is told.
///
/// Usually the database's clock decides that a worker has been silent for too long. When that clock
/// was set back, a dead worker's lease seems to last as much longer. But a count of heartbeats that
/// has not changed for the lease's time, by a clock that nobody sets (CLOCK_BOOTTIME), is as good a
/// proof: the last heartbeat was sent before the first look that saw its count. Twice the time is
/// waited for, so that no two clocks need run alike.
package struct BeatWatch: Sendable {
    /// What the database says of a worker that is not over.
    package struct Pulse: Sendable, Hashable {
        /// How often it has beaten.
        package var beats: Int
        /// How long a heartbeat makes its leases last.
        package var timeToLive: Duration

        package init(beats: Int, timeToLive: Duration) {
            self.beats = beats
            self.timeToLive = timeToLive
        }
    }

    /// A worker that is dead, unless it has beaten since this count.
    package struct Silence: Sendable, Hashable {
        package var worker: Int
        package var beats: Int

        package init(worker: Int, beats: Int) {
            self.worker = worker
            self.beats = beats
        }
    }

    private var seen: [Int: (beats: Int, since: Instant)] = [:]

    package init() {}

    /// Takes in what all workers are at this moment; answers those that are silent, in order.
    package mutating func look(_ workers: [Int: Pulse], at now: Instant) -> [Silence] {
        seen = seen.filter { workers[$0.key]?.beats == $0.value.beats }
        var silent: [Silence] = []
        for (worker, pulse) in workers {
            guard let last = seen[worker] else {
                seen[worker] = (pulse.beats, now)
                continue
            }
            if last.since.advanced(by: pulse.timeToLive * 2) < now {
                silent.append(Silence(worker: worker, beats: pulse.beats))
            }
        }
        return silent.sorted { $0.worker < $1.worker }
    }
}
