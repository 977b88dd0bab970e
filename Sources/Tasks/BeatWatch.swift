// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// Tells by this node's own clock which workers beat no more. Pure: time is told.
///
/// The database's clock can be set: forward, and every lease is past at once; back, and that of a
/// dead worker lasts as much longer. So a worker is silent when its count of heartbeats has not
/// changed for its lease's time by a clock that nobody sets (CLOCK_BOOTTIME): its last heartbeat was
/// sent before the first look that saw the count. Where the database says that the lease is past,
/// this time is enough; where it does not, twice the time is waited for, so that no two clocks need
/// run alike. A node that has just come has seen nothing, and waits as long.
package struct BeatWatch: Sendable {
    /// What the database says of a worker that is not over.
    package struct Pulse: Sendable, Hashable {
        /// How often it has beaten.
        package var beats: Int
        /// How long a heartbeat makes its leases last.
        package var timeToLive: Duration
        /// By the database's clock, they have lasted for that long.
        package var isPast: Bool

        package init(beats: Int, timeToLive: Duration, isPast: Bool = false) {
            self.beats = beats
            self.timeToLive = timeToLive
            self.isPast = isPast
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
            if last.since.advanced(by: pulse.timeToLive * (pulse.isPast ? 1 : 2)) < now {
                silent.append(Silence(worker: worker, beats: pulse.beats))
            }
        }
        return silent.sorted { $0.worker < $1.worker }
    }
}
