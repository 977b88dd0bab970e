// SPDX-License-Identifier: Apache-2.0

/// A signal that a container's first process can be sent.
package enum ContainerSignal: String, Sendable {
    case kill = "SIGKILL"
    case terminate = "SIGTERM"
    case interrupt = "SIGINT"
}

/// Whether there was anything to end.
package enum Ending: Sendable, Hashable {
    /// It was done.
    case done
    /// The container is there and does not run.
    case notRunning
    /// There is no such container, now or any more.
    case gone
}

/// Containers: their end.
///
/// To clean up after a task that was cancelled, call from one that was not: these calls end with
/// the calling task like all others.
extension DockerClient {
    /// Sends a signal to the container's first process.
    package func kill(
        _ container: String,
        _ signal: ContainerSignal = .kill,
        limits: CallLimits = .change
    ) async throws(DockerError) -> Ending {
        try ContainerName.check(container, .kill)
        let budget = CallBudget(.kill, limits)
        let request = EngineRequest(
            .kill,
            .post,
            RequestPath("/containers/", container, "/kill").with("signal", signal.rawValue).text,
            limits: limits
        )
        do throws(DockerError) {
            return try await ask(request.accepting(404)).status == 404 ? .gone : .done
        } catch {
            // "Not running" is 409 from Docker and 500 from Podman 4, so it is looked up.
            guard error.status == 409 || error.status == 500 else { throw error }
            guard let found = try await look(at: container, budget) else { return .gone }
            if found.state.isRunning { throw error }
            return .notRunning
        }
    }

    /// Removes a container; with `force` also one that runs, and with `volumes` also the anonymous
    /// volumes that are its own. Answers when it is gone, also if somebody else removes it.
    package func remove(
        _ container: String,
        force: Bool,
        volumes: Bool,
        limits: CallLimits = .change
    ) async throws(DockerError) -> Ending {
        try ContainerName.check(container, .remove)
        let budget = CallBudget(.remove, limits)
        let request = EngineRequest(
            .remove,
            .delete,
            RequestPath("/containers/", container)
                .with("force", force ? "1" : "0")
                .with("v", volumes ? "1" : "0").text,
            limits: limits
        )
        do throws(DockerError) {
            return try await ask(request.accepting(404)).status == 404 ? .gone : .done
        } catch {
            // 409 is a removal that is under way, or a container that runs and was not forced. The
            // state tells them apart only once it has stopped running.
            guard error.status == 409 else { throw error }
            guard let found = try await look(at: container, budget) else { return .gone }
            guard force || found.state.status == .removing else { throw error }
            try await awaitRemoval(of: found.id, budget)
            // The engine's word is the same when it failed to remove it.
            guard try await look(at: found.id, budget) == nil else { throw error }
            return .gone
        }
    }

    private func look(
        at container: String,
        _ budget: CallBudget
    ) async throws(DockerError) -> Container? {
        do throws(DockerError) {
            return try await inspect(container, limits: try budget.rest())
        } catch {
            throw budget.whole(error)
        }
    }

    /// Waits for the engine's word that a container is removed.
    private func awaitRemoval(
        of id: String,
        _ budget: CallBudget
    ) async throws(DockerError) {
        let request = EngineRequest(
            budget.call,
            .post,
            RequestPath("/containers/", id, "/wait").with("condition", "removed").text,
            limits: try budget.rest()
        )
        do throws(DockerError) {
            _ = try await ask(request.accepting(404))
        } catch {
            throw budget.whole(error)
        }
    }
}
