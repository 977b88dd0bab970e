// SPDX-License-Identifier: Apache-2.0
internal import JSON
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
                // The queue answers for each that it was sent.
                let settlement = settlements[entry.completion.key] ?? .fencedOff
                entry.continuation.resume(returning: settlement)
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
    /// the others: then each is sent alone, and that one with the reason for a report.
    private func send(
        _ completions: [Completion],
        worker: Int
    ) async -> [LeaseKey: Settlement] {
        var wait = Self.pauses.first
        while true {
            do throws(TaskError) {
                return try await queue.settle(worker: worker, completions)
            } catch {
                if error.isRefusal { return await sendApart(completions, error, worker: worker) }
                if isAbandoned { return Self.unsettled(completions, error) }
                await pause(wait)
                wait = min(wait * 2, Self.pauses.longest)
            }
        }
    }

    private func sendApart(
        _ completions: [Completion],
        _ error: TaskError,
        worker: Int
    ) async -> [LeaseKey: Settlement] {
        guard completions.count == 1, var only = completions.first else {
            var settlements: [LeaseKey: Settlement] = [:]
            for completion in completions {
                settlements.merge(await send([completion], worker: worker)) { $1 }
            }
            return settlements
        }
        let substitute = Self.substitute(for: error)
        guard only.report != nil, only.report != substitute else {
            return Self.unsettled([only], error)
        }
        only.report = substitute
        return await send([only], worker: worker)
    }

    /// The report of an attempt whose own was refused.
    private static func substitute(for error: TaskError) -> String {
        let why = JSONValue.string("the report could not be kept: \(error)")
        let report = JSONValue.object(["error": .object(["message": why])])
        return String(decoding: report.bytes, as: UTF8.self)
    }

    private static func unsettled(
        _ completions: [Completion],
        _ error: TaskError
    ) -> [LeaseKey: Settlement] {
        Dictionary(completions.map { ($0.key, .unsettled(error)) }) { $1 }
    }
}
