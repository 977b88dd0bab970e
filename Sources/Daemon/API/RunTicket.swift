// SPDX-License-Identifier: Apache-2.0
internal import Spawner
internal import Synchronization

/// The right to one admitted run. When nobody makes use of it (a connection that ends before its
/// answer begins), its reservation goes back by itself.
final class RunTicket: Sendable {
    private let admitted: RunService.Admitted
    private let runs: RunService
    private let isUsed = Atomic<Bool>(false)

    init(_ admitted: RunService.Admitted, _ runs: RunService) {
        self.admitted = admitted
        self.runs = runs
    }

    deinit {
        guard !isUsed.load(ordering: .acquiring) else { return }
        let (admitted, runs) = (admitted, runs)
        // Unstructured: a deinit cannot wait. It ends at once.
        Task { await runs.abandon(admitted) }
    }

    var sandbox: Sandbox { admitted.sandbox }
    var attempt: AttemptID { admitted.request.attempt }

    /// Runs it, once.
    func run() async -> RunResult {
        isUsed.store(true, ordering: .releasing)
        return await runs.run(admitted)
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
