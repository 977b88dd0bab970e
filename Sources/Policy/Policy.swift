// SPDX-License-Identifier: Apache-2.0

/// A profile resolved and checked: complete, nothing optional, no "unlimited".
package struct Policy: Sendable, Hashable {
    /// The profile's name.
    package let name: String

    /// What it is for, in a sentence.
    package let summary: String

    /// The image its jobs run in, by name.
    package let image: String

    /// The engines that may run it, the preferred one first; never empty.
    package let engines: [EngineKind]

    /// The OCI runtime of a container engine; nil is the engine's own choice.
    package let runtime: String?

    /// The ceilings its jobs live under.
    package private(set) var limits: Limits

    /// What its jobs may reach.
    package private(set) var network: Network

    /// The system calls its jobs may make.
    package let syscalls: SyscallPolicy

    /// The namespaces its jobs may make inside of their sandbox; nil is none.
    package let nestedNamespaces: NestedNamespaces?

    /// The capabilities its jobs hold.
    package let capabilities: CapabilitySet

    /// Its jobs' environment, what shows the way to the proxy included.
    package var environment: [String: String] {
        network.environment.merging(ownEnvironment) { $1 }
    }
    private let ownEnvironment: [String: String]

    /// Where its jobs start: an absolute path inside the sandbox.
    package let workingDirectory: String

    /// How many sandboxes are kept ready.
    package let warm: Int

    /// The secrets that a request may ask for, by name.
    package let secrets: [String]

    /// When a person's word is needed before a run.
    package let approval: Approval

    /// A command that ends well in an image that is fit for these jobs.
    package let health: [String]

    /// Resolves `profile` against the lists of system calls it may name.
    package init(
        resolving profile: Profile,
        lists: SyscallLists,
        architecture: Architecture = .host
    ) throws(ProfileError) {
        name = profile.name
        summary = profile.summary
        image = profile.image
        engines = profile.engines
        runtime = profile.runtime
        limits = profile.limits
        network = profile.network
        syscalls = try lists.resolve(profile, for: architecture)
        nestedNamespaces = profile.nestedNamespaces
        capabilities = []
        ownEnvironment = profile.environment
        workingDirectory = profile.workingDirectory
        warm = profile.warm
        health = profile.health
        secrets = profile.secrets
        approval = profile.approval
    }

    /// The same policy under the limits that a request asks for, each smaller or equal.
    ///
    /// What the request leaves out stays as it is. A request can never loosen a limit.
    package func tightened(by tightening: Tightening) throws(PolicyError) -> Policy {
        let limits = try Limits { limit throws(PolicyError) in
            let allowed = self.limits[limit]
            guard let asked = tightening[limit] else { return allowed }
            if asked == 0, limit.allowed.lowerBound > 0 { throw .zero(limit) }
            if asked > allowed { throw .loosened(limit, asked: asked, allowed: allowed) }
            let floor = limit.allowed.lowerBound
            if asked < floor { throw .tooSmall(limit, asked: asked, floor: floor) }
            return asked
        }
        var policy = self
        policy.limits = limits
        return policy
    }

    /// The same policy with more to reach over the network, as far as the profile lets a request ask.
    package func opened(to rules: [EgressRule]) throws(PolicyError) -> Policy {
        var policy = self
        policy.network = try network.opened(to: rules)
        return policy
    }

    /// Refuses a secret that the profile lets no request ask for.
    package func check(secret name: String) throws(PolicyError) {
        guard secrets.contains(name) else { throw .noSecret(name, askable: secrets) }
    }
}
