// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Glibc

/// Who caps and meters a container.
enum Metering: Sendable {
    /// The engine, by the container's cgroup (v2).
    case engine
    /// The daemon: init enters a cgroup of the daemon's before the gate opens (v1, where a rootless
    /// engine can cap nothing).
    case own
}

extension EngineInfo {
    /// Whether root listens, or the engine does not say that it runs without root's rights.
    var isRootful: Bool { !isRootless || listener == 0 }

    /// Refuses a runtime that the engine does not have.
    ///
    /// Podman's API takes none, without a word: it would run the job in another than the profile says.
    func check(runtime: String) throws(SpawnError) {
        guard engine.kind == .docker else {
            throw .engine(
                step: "docker runtime",
                reason: "\(engine) lets nobody choose a runtime, and the profile wants '\(runtime)'"
            )
        }
        guard runtimes.contains(runtime) else {
            throw .engine(
                step: "docker runtime",
                reason: "\(engine) has no runtime '\(runtime)' "
                    + "(it has \(runtimes.joined(separator: ", "))): configure it there, or change the "
                    + "profile"
            )
        }
    }

    /// Decides who meters; throws when an engine must not be used, with the reason and the mend.
    ///
    /// `cgroupVersion` is the host's, as the daemon uses it, and `user` the daemon's. Whatever the
    /// engine says, the read-back looks at each container.
    func metering(
        cgroupVersion: Int,
        allowsRootful: Bool = false,
        user: UInt32 = getuid()
    ) throws(SpawnError) -> Metering {
        func refusal(_ why: String) -> SpawnError {
            .engine(step: "docker probe", reason: "\(engine) is not used: \(why)")
        }
        if isRootful {
            guard allowsRootful else {
                throw refusal(
                    "it runs as root, so that a container's escape would be root's; use a rootless "
                        + "one (https://docs.docker.com/engine/security/rootless), or start the "
                        + "daemon with --allow-rootful"
                )
            }
        } else if listener != user {
            let owner = listener.map { "user \($0)" } ?? "a user whom the kernel does not tell"
            throw refusal(
                "it belongs to \(owner) and the daemon to user \(user), who cannot read back what it "
                    + "made; run both as one user"
            )
        }
        guard hasSeccomp else {
            throw refusal("it cannot filter system calls; use one that is built with seccomp")
        }
        guard cgroupVersion == 2 else { return .own }
        // Podman 4 says of what it can limit that it cannot: there the read-back has the last word.
        let claims = engine.kind == .docker ? [limits.memory, limits.pids, limits.cpuQuota] : []
        guard cgroupDriver != "none", !claims.contains(false) else {
            throw refusal(
                "it can cap neither memory nor processes nor CPU; delegate these controllers to its "
                    + "user (Delegate=cpu cpuset io memory pids in user@.service) and restart it"
            )
        }
        return .engine
    }
}
