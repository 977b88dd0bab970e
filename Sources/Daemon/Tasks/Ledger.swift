// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import Reaper
internal import Spawner
internal import Tasks

/// The account book of direct runs: each is an attempt like any other, written and paid for.
struct Ledger: Sendable {
    /// How long a run waits for a database that is just starting.
    private static let patience = Duration.seconds(10)
    /// What is kept of each output of a direct run: its caller had it all.
    private static let outputLimit = 16 << 10

    let queue: TaskQueue
    let worker: Worker
    let readiness: Readiness
    let records: AttemptRecords
    let tally: CanaryTally

    /// Writes the run down and reserves its worst case. Throws what the caller is to hear.
    func begin(_ admitted: RunService.Admitted, _ payer: Payer) async throws -> LeaseKey {
        let request = admitted.request
        try await readiness.wait(upTo: Self.patience)
        let begun: (task: Int, fence: Int?)
        do {
            begun = try await worker.beginRun(
                attemptID: request.attempt.description,
                profile: request.policy.name,
                spec: payer.spec,
                account: TaskQueue.Account(
                    budget: payer.budget,
                    key: payer.key,
                    worstCase: request.policy.worstCase,
                    memoryMiB: request.policy.reservedMiB
                )
            )
        } catch {
            throw APIError.tasks(error)
        }
        guard let fence = begun.fence else { throw KnownKey(task: begun.task) }
        let key = LeaseKey(task: begun.task, fence: fence)
        await worker.hold(key, .sandbox(admitted.sandbox, request.policy))
        return key
    }

    /// Settles it; comes back when the database has it.
    func settle(_ key: LeaseKey, _ result: RunResult, _ admitted: RunService.Admitted) async {
        let policy = admitted.request.policy
        let completion = Completion(key, result, policy, outputLimit: Self.outputLimit)
        if !admitted.isTrial {
            await tally.add(
                profile: policy.name,
                verdict: completion.verdict,
                began: admitted.at
            )
        }
        _ = await worker.settle(completion)
        records.end(key)
    }

    /// What became of a run that was asked for before: its report, JSON; throws when it still runs, and
    /// when it was lost with all that it could have said.
    func report(of task: Int) async throws(APIError) -> String {
        let ending: TaskQueue.Ending?
        do throws(TaskError) { ending = try await queue.ending(of: task) } catch {
            throw .tasks(error)
        }
        guard let ending else { throw .runsAlready(task: task) }
        guard let report = ending.report else {
            throw .runLost(task: task, verdict: ending.verdict ?? ending.state)
        }
        return report
    }

    /// Writes the attempt down on this node, so that the next daemon finds it.
    func record(_ key: LeaseKey, cell: String) throws {
        try records.begin(key, cell: cell)
    }
}

/// Who pays for a direct run.
struct Payer: Sendable {
    var budget: String
    var key: String?
    /// What is written down of the request: JSON, without the input.
    var spec: String
}

/// A run's key belongs to a task that asked for the same: that one is the answer.
struct KnownKey: Error {
    let task: Int
}

extension Worker.Holder {
    /// An attempt that is a sandbox of this daemon.
    static func sandbox(_ sandbox: Sandbox, _ policy: Policy) -> Worker.Holder {
        Worker.Holder(
            end: { why in
                // Unstructured: a heartbeat does not wait for a teardown. It ends at once.
                Task { await sandbox.cancel(as: why == .lost ? .leaseLost : .cancelled) }
            },
            usage: {
                guard let usage = await sandbox.usageNow() else { return nil }
                return Charge(usage, policy)
            },
            keep: { await sandbox.keep(until: $0) }
        )
    }
}

extension Charge {
    /// What an attempt's usage comes to.
    init(_ usage: Usage, _ policy: Policy) {
        self.init(
            cpuMilliseconds: usage.cpuMilliseconds,
            wallMilliseconds: usage.wallMilliseconds,
            memoryPeakBytes: usage.memoryPeakBytes,
            memoryLimitBytes: policy.limits.memoryBytes + policy.limits.swapBytes,
            egressBytes: Int(clamping: usage.egressBytes)
        )
    }
}

extension Completion {
    /// A result as it is settled, with so much of each output.
    init(
        _ key: LeaseKey,
        _ result: RunResult,
        _ policy: Policy,
        outputLimit: Int = .max,
        isSnoozed: Bool = false
    ) {
        self.init(
            key: key,
            verdict: isSnoozed ? "snoozed" : result.verdict.word,
            exitCode: RunReport.exitCode(result.verdict).map(Int.init),
            charge: Charge(result.usage, policy),
            report: RunReport.text(result, outputLimit: outputLimit)
        )
    }
}

extension Policy {
    /// Memory and swap together, in MiB: what admission and budgets reckon with.
    var reservedMiB: Int {
        Int((limits.memoryBytes + limits.swapBytes + 1_048_575) >> 20)
    }

    /// The most that one attempt can use.
    var worstCase: Charge {
        var charge = Charge()
        charge.cpuMilliseconds = Int(limits.cpuTime.milliseconds.rounded(.up))
        charge.wallMilliseconds = Int(limits.wallTime.milliseconds.rounded(.up))
        charge.memoryMiBSeconds = (reservedMiB * charge.wallMilliseconds + 999) / 1000
        if case .egress(let egress) = network { charge.egressBytes = Int(clamping: egress.bytes) }
        return charge
    }
}
