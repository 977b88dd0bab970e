// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Settles attempts in batches: a batch is sent when the one before is answered, and holds whatever
/// has ended meanwhile. Alone, an attempt waits for nobody; under load, many share a commit.
///
/// A completion is kept until the database has answered it, however long that takes.
package actor Completer {
    private struct Waiting {
        let completion: Completion
        let continuation: CheckedContinuation<Settlement, Never>
    }

    /// How many go into one batch, and how many bytes of reports.
    private static let batchLimit = 200
    private static let reportBytesLimit = 16 << 20
    /// The first and the longest pause before a batch is sent again.
    private static let pauses = (first: Duration.milliseconds(50), longest: Duration.seconds(2))

    private let queue: TaskQueue
    private let pause: @Sendable (Duration) async -> Void
    private var waiting: [Waiting] = []
    private var isFlushing = false
    private var isAbandoned = false

    /// `pause` waits; injected, so that tests need not.
    package init(_ queue: TaskQueue, pause: @escaping @Sendable (Duration) async -> Void) {
        self.queue = queue
        self.pause = pause
    }

    /// Settles one attempt of `worker`; answers when the database has.
    package func settle(_ completion: Completion, worker: Int) async -> Settlement {
        await withCheckedContinuation { continuation in
            waiting.append(Waiting(completion: completion, continuation: continuation))
            guard !isFlushing else { return }
            isFlushing = true
            // Unstructured: it lasts exactly as long as somebody waits in `settle`.
            Task { await self.flush(worker: worker) }
        }
    }

    /// Gives up what the database does not take now: it will hear of a lost lease instead.
    package func abandon() {
        isAbandoned = true
    }

    private func flush(worker: Int) async {
        while !waiting.isEmpty {
            let batch = nextBatch()
            let settlements = await send(batch.map(\.completion), worker: worker)
            for entry in batch {
                entry.continuation.resume(
                    returning: settlements[entry.completion.key] ?? .fencedOff
                )
            }
        }
        isFlushing = false
    }

    private func nextBatch() -> [Waiting] {
        var bytes = 0
        var count = 0
        while count < min(waiting.count, Self.batchLimit) {
            bytes += waiting[count].completion.report?.utf8.count ?? 0
            if count > 0, bytes > Self.reportBytesLimit { break }
            count += 1
        }
        let batch = Array(waiting[..<count])
        waiting.removeFirst(count)
        return batch
    }

    /// Sends until there is an answer. One completion that the database will not take does not keep
    /// the others: then each is sent alone, and that one without its report.
    private func send(
        _ completions: [Completion],
        worker: Int
    ) async -> [LeaseKey: Settlement] {
        var wait = Self.pauses.first
        while true {
            do throws(TaskError) {
                return try await queue.settle(worker: worker, completions)
            } catch .database(let error) where !error.isTransient {
                return await sendOneByOne(completions, worker: worker)
            } catch {
                if isAbandoned { return [:] }
                await pause(wait)
                wait = min(wait * 2, Self.pauses.longest)
            }
        }
    }

    private func sendOneByOne(
        _ completions: [Completion],
        worker: Int
    ) async -> [LeaseKey: Settlement] {
        guard completions.count == 1, var only = completions.first else {
            var settlements: [LeaseKey: Settlement] = [:]
            for completion in completions {
                settlements.merge(await send([completion], worker: worker)) { $1 }
            }
            return settlements
        }
        guard only.report != nil else { return [only.key: .fencedOff] }
        only.report = nil
        return await send([only], worker: worker)
    }
}
