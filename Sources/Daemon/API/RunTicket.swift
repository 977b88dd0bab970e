// SPDX-License-Identifier: Apache-2.0
internal import Spawner
internal import Synchronization
internal import Tasks

/// One direct run, from its admission: it begins at once, and ends by itself when nobody makes use
/// of it (a connection that ends before its answer begins).
final class RunTicket: Sendable {
    private let admitted: RunService.Admitted
    // Unstructured, both: an answer's head is written, or refused, before anybody asks for its body,
    // and the sandbox is made meanwhile. `deinit` ends what is left.
    private let booking: Task<LeaseKey, any Error>?
    private let work: Task<RunResult, Never>

    init(_ admitted: RunService.Admitted, _ payer: Payer?, _ runs: RunService) {
        self.admitted = admitted
        var booking: Task<LeaseKey, any Error>?
        if let ledger = runs.ledger, let payer {
            booking = Task { try await ledger.begin(admitted, payer) }
        }
        self.booking = booking
        work = Task { [booking] in
            let result = await runs.perform(admitted) { cell in
                guard let booking else { return }
                try runs.ledger?.record(try await booking.value, cell: cell)
            }
            guard let booking else {
                await runs.finished(admitted, result)
                return result
            }
            // Only after the settlement does the caller hear the end. What was never begun has none.
            do {
                await runs.ledger?.settle(try await booking.value, result, admitted)
                await runs.finished(admitted, result)
            } catch {
                await runs.forget(admitted)
            }
            return result
        }
    }

    deinit {
        admitted.sandbox.cancelSoon()
    }

    var sandbox: Sandbox { admitted.sandbox }
    var attempt: AttemptID { admitted.request.attempt }

    /// Comes back when the run is written down and paid for; throws why it is not.
    func begun() async throws {
        _ = try await booking?.value
    }

    /// The end. Cancelling the task that waits cancels the run.
    func result() async -> RunResult {
        await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            admitted.sandbox.cancelSoon()
        }
    }
}

/// A place for one value between two tasks of a group.
final class Mailbox<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func put(_ value: Value) {
        self.value.withLock { $0 = value }
    }

    func take() -> Value? {
        value.withLock { $0 }
    }
}
