// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// Waits for the end of processes that need not be our children, by their descriptors.
final class DeathWatch {
    private let loop: EventLoop
    private var watches: [Int: EventLoop.Watch] = [:]
    private var timer: EventLoop.Timer?
    private var continuation: CheckedContinuation<Void, Never>?

    /// Returns when all of them are dead, or at the limit.
    static func wait(
        for processes: [Descriptor],
        upTo limit: Duration,
        on loop: EventLoop,
        isolation: isolated (any Actor)? = #isolation
    ) async {
        let deathWatch = DeathWatch(loop)
        await withCheckedContinuation { continuation in
            deathWatch.begin(processes, limit, continuation)
        }
        withExtendedLifetime(processes) {}
    }

    private init(_ loop: EventLoop) {
        self.loop = loop
    }

    private func begin(
        _ processes: [Descriptor],
        _ limit: Duration,
        _ continuation: CheckedContinuation<Void, Never>
    ) {
        self.continuation = continuation
        for (index, process) in processes.enumerated() {
            // One that cannot be watched is looked for again by whoever waits here.
            watches[index] = try? loop.watch(process, for: .readable) { self.died(index) }
        }
        timer = loop.schedule(at: .now.advanced(by: limit)) { self.finish() }
        if watches.isEmpty { finish() }
    }

    private func died(_ index: Int) {
        if let watch = watches.removeValue(forKey: index) { loop.unwatch(watch) }
        if watches.isEmpty { finish() }
    }

    private func finish() {
        timer.map(loop.cancel)
        for watch in watches.values { loop.unwatch(watch) }
        watches = [:]
        continuation?.resume()
        continuation = nil
    }
}
