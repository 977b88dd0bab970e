// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Logging
internal import Spawner
internal import Tasks

/// Keeps what is known of a container engine in the database, over restarts of this node.
struct EngineMemory: Sendable {
    private let queue: TaskQueue
    private let node: String
    private let engine: DockerEngine
    private let logger: Logger

    init(_ queue: TaskQueue, node: String, engine: DockerEngine, logger: Logger) {
        self.queue = queue
        self.node = node
        self.engine = engine
        self.logger = logger
    }

    /// Takes over what an earlier daemon knew, and from then on writes down each change, until the
    /// task is cancelled.
    func run() async {
        do throws(TaskError) {
            if let circuit = try await queue.circuit(of: engine.name, node: node) {
                var state = EngineCircuit.State()
                state.failures = circuit.failures
                state.reason = circuit.reason
                state.openUntil = Instant.now.advanced(by: circuit.cooldown)
                engine.circuit.restore(state)
            }
        } catch {
            // Then this node finds out again.
            logger.debug("what was known of the container engine cannot be read: \(error)")
        }
        for await state in engine.circuit.changes() {
            do throws(TaskError) {
                try await queue.keep(
                    TaskQueue.Circuit(
                        failures: state.failures,
                        reason: state.reason,
                        cooldown: Self.cooldown(state)
                    ),
                    of: engine.name,
                    node: node
                )
            } catch {
                logger.debug("what is known of the container engine cannot be kept: \(error)")
            }
        }
    }

    private static func cooldown(_ state: EngineCircuit.State) -> Duration {
        let now = Instant.now
        guard let until = state.openUntil, until > now else { return .zero }
        return .milliseconds(Int(until.milliseconds(since: now)))
    }
}
