// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Tasks

/// What every node does for the queue, whether or not another does it too.
struct Upkeep: Sendable {
    private static let sweepEvery = 5
    private static let canaryEvery = 2
    private static let maintainEvery = Duration.seconds(3600)

    let queue: TaskQueue
    let worker: Worker
    let tally: CanaryTally
    let keepDays: Int
    let logger: Logger

    /// Once a second, less or more, makes ready what is due; now and then, takes away the leases of
    /// the dead, and looks after canaries. Until the task is cancelled.
    func run() async {
        var sweeper = Sweeper(queue)
        var shadows = 0
        var second = 0
        while !Task.isCancelled {
            await attempt("promotion") { () throws(TaskError) in
                let expired = try await queue.expireApprovals()
                if expired > 0 { logger.notice("\(expired) tasks were not approved in time") }
                if try await queue.promote() > 0 { logger.debug("delayed tasks became ready") }
            }
            if second % Self.sweepEvery == 0 {
                await attempt("sweep") { () throws(TaskError) in try await sweep(&sweeper) }
            }
            if second % Self.canaryEvery == 0 {
                await attempt("canaries") { () throws(TaskError) in try await checkCanaries() }
                await attempt("shadows") { () throws(TaskError) in
                    shadows = try await queue.compareShadows(after: shadows)
                }
            }
            second += 1
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: .seconds(Double.random(in: 0.8...1.2)))
        }
    }

    /// Whatever becomes of one duty, the others are done.
    private func attempt(
        _ duty: String,
        _ body: () async throws(TaskError) -> Void
    ) async {
        do throws(TaskError) { try await body() } catch {
            logger.debug("upkeep, \(duty): \(error)")
        }
    }

    private func sweep(_ sweeper: inout Sweeper) async throws(TaskError) {
        for key in try await worker.settleUnheard() {
            logger.notice("lease \(key) came in an answer that was lost, and is settled")
        }
        for key in try await sweeper.sweep() {
            logger.notice("attempt \(key) was lost with its node, and is settled")
        }
    }

    private func checkCanaries() async throws(TaskError) {
        try await tally.flush(to: queue)
        for trip in try await queue.checkCanaries() {
            logger.error("the canary of '\(trip.profile)' is 0 now: \(trip.why)")
        }
        await tally.remember(try await queue.trippedCanaries())
    }

    /// Once an hour, makes partitions and removes what is too old. By itself, for a large history
    /// takes minutes to remove, and leases cannot wait so long to be swept.
    func maintain() async {
        while !Task.isCancelled {
            do throws(TaskError) { try await queue.maintain(keepDays: keepDays) } catch {
                logger.debug("maintenance: \(error)")
            }
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: Self.maintainEvery * Double.random(in: 0.8...1.2))
        }
    }
}
