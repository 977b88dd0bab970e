// SPDX-License-Identifier: Apache-2.0
internal import JSON
package import Kernel

/// A container engine, Docker's or Podman's, through the HTTP API on its Unix socket.
///
/// It lives on the event loop and never waits on it; any number of calls may be under way. Each has
/// a deadline and limits of its own, and a task that is cancelled while it waits ends its call: the
/// connection is closed, and what came of the call is unknown. The API's version is agreed on at
/// the first call, and again after the engine could not be reached.
package actor DockerClient {
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    package nonisolated let address: EngineAddress
    private nonisolated let loop: EventLoop
    private var multi: CurlMulti?
    private var isClosed = false
    private var lastCall: UInt64 = 0
    var agreement: Agreement?

    /// Nothing is connected yet.
    package init(_ address: EngineAddress, on loop: EventLoop) {
        self.address = address
        self.loop = loop
    }

    isolated deinit {
        multi?.close(.closed)
    }

    /// Ends what is under way, and takes no more calls.
    package func close() {
        isClosed = true
        multi?.close(.closed)
        multi = nil
    }

    /// The user who listens on the socket, by the kernel's word; nil before the first connection.
    ///
    /// An engine can call itself rootless. When this is root, it is not.
    package var listener: UInt32? { multi?.listener }

    // MARK: Calls

    /// Sends a request in the agreed version of the API. Throws for a status that is no success.
    func ask(_ request: EngineRequest) async throws(DockerError) -> EngineAnswer {
        let budget = CallBudget(request.call, request.limits)
        var request = request
        let agreed: Agreement
        let answer: EngineAnswer
        do throws(DockerError) {
            agreed = try await agree(within: request.limits)
            request.limits = try budget.rest()
            answer = try await exchange(request, path: "/v\(agreed.version)" + request.path)
        } catch {
            throw budget.whole(error)
        }
        // Another engine listens here by now, or the same one after an upgrade.
        if let version = answer.header.apiVersion, version != agreed.engineVersion {
            agreement = nil
        }
        guard (200..<300).contains(answer.status) || request.accepted.contains(answer.status) else {
            throw DockerError(
                request.call,
                .answered(status: answer.status, Self.message(in: answer, request.registryAuth))
            )
        }
        return answer
    }

    /// Sends a request as it is, and answers whatever the engine answers.
    func exchange(
        _ request: EngineRequest,
        path: String
    ) async throws(DockerError) -> EngineAnswer {
        let multi = try ready(for: request.call)
        lastCall += 1
        let id = lastCall
        let result = await withTaskCancellationHandler {
            // Only what mentions the actor runs on it.
            await self.run(id, request, path: path, on: multi)
        } onCancel: {
            loop.post { self.assumeIsolated { $0.multi?.abort(id, .cancelled) } }
        }
        do throws(DockerError.Reason) {
            var answer = try result.get()
            await answer.readIfLong()
            return answer
        } catch {
            // What was agreed on was agreed on with somebody else, for all that is known.
            if error.endsAgreement { agreement = nil }
            throw DockerError(request.call, error.hiding(request.registryAuth))
        }
    }

    private func run(
        _ id: UInt64,
        _ request: EngineRequest,
        path: String,
        on multi: CurlMulti
    ) async -> Result<EngineAnswer, DockerError.Reason> {
        await withCheckedContinuation { continuation in
            multi.start(id, request, path: path) { continuation.resume(returning: $0) }
        }
    }

    private func ready(for call: DockerError.Call) throws(DockerError) -> CurlMulti {
        guard !isClosed else { throw DockerError(call, .closed) }
        if let multi, !multi.isBroken { return multi }
        multi?.close(.closed)
        guard let made = CurlMulti(socketPath: address.socketPath, on: loop) else {
            throw DockerError(call, .lost("libcurl cannot be set up: out of memory"))
        }
        multi = made
        return made
    }

    /// The engine's own words, or as much of its answer as may be quoted.
    static func message(in answer: EngineAnswer, _ auth: RegistryAuth?) -> String {
        let words = answer.json?["message"]?.text
        let quoted = words.map { Visible.text($0) } ?? Visible.text(answer.body)
        return auth?.redacting(quoted) ?? quoted
    }
}

extension DockerError.Reason {
    fileprivate var endsAgreement: Bool {
        switch self {
        case .unreachable, .notAnEngine, .lost: true
        default: false
        }
    }

    /// The same, without credentials that somebody quoted.
    fileprivate func hiding(_ auth: RegistryAuth?) -> DockerError.Reason {
        guard let auth else { return self }
        return switch self {
        case .lost(let why): .lost(auth.redacting(why))
        case .notAnEngine(let why): .notAnEngine(auth.redacting(why))
        case .reported(let why): .reported(auth.redacting(why))
        case .unreadable(let why): .unreadable(auth.redacting(why))
        default: self
        }
    }
}
