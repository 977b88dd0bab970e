// SPDX-License-Identifier: Apache-2.0
internal import Policy
internal import Spawner

/// The engines of this daemon, and which of them a run goes to.
struct Engines: Sendable {
    static let noSocket = "docker: this daemon has no engine's socket (--docker)"

    let native: NativeEngine
    /// nil when no container engine's socket is known.
    let docker: DockerEngine?

    /// All of them.
    var all: [any Engine] {
        docker.map { [native, $0] } ?? [native]
    }

    /// Refuses an engine that the policy does not run on.
    static func check(_ wanted: EngineKind, _ policy: Policy) throws(APIError) {
        guard policy.engines.contains(wanted) else {
            throw .noEngine(profile: policy.name, wanted: wanted, allowed: policy.engines)
        }
    }

    /// The first of the policy's engines that is there and works; when the caller names one, that
    /// or none.
    func choice(
        for policy: Policy,
        wanted: EngineKind?
    ) throws(APIError) -> any Engine {
        if let wanted { try Self.check(wanted, policy) }
        var refusals: [String] = []
        for kind in wanted.map({ [$0] }) ?? policy.engines {
            switch kind {
            case .native: return native
            case .docker:
                guard let docker else {
                    refusals.append(Self.noSocket)
                    continue
                }
                guard let reason = docker.circuit.refusal() else { return docker }
                refusals.append(reason)
            }
        }
        throw .engineUnavailable(profile: policy.name, reasons: refusals)
    }
}
