// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Tasks

/// Whether the queue can be used, for those who would wait a moment for it.
final class Readiness: Sendable {
    private struct State {
        var worker = Worker.State.waiting("the database is starting")
        /// Whether it has been there before: then nobody waits for it any more.
        var wasReady = false
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// The present state.
    var worker: Worker.State { state.withLock { $0.worker } }

    /// Takes note of a change.
    func changed(_ worker: Worker.State) {
        let waiting = state.withLock { state in
            state.worker = worker
            if case .registered = worker { state.wasReady = true }
            guard state.wasReady else { return [] as [CheckedContinuation<Void, Never>] }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Comes back when the queue can be used. While it starts for the first time, this waits up to
    /// `limit`; later, or after that, it throws why it cannot.
    func wait(upTo limit: Duration) async throws(APIError) {
        let mustWait = state.withLock { !$0.wasReady }
        if mustWait { await waitForChange(limit) }
        switch worker {
        case .registered: return
        case .waiting(let why): throw .tasks(.unavailable(why))
        case .stopped: throw .tasks(.unavailable("the daemon is stopping"))
        }
    }

    private func waitForChange(_ limit: Duration) async {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        // Unstructured: it only ends the wait below, which ends it.
        let timer = Task {
            try await Task.sleep(for: limit)
            self.state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
        }
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.wasReady { state.waiting[number] = continuation }
                return state.wasReady
            }
            if isReady { continuation.resume() }
        }
        timer.cancel()
    }
}
