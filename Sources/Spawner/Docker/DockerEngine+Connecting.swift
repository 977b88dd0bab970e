// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Kernel
internal import Policy
internal import SystemPackage

extension DockerEngine {
    /// Waits until process 1 has connected, and makes sure that it is ours.
    func connect(_ place: ContainerInUse) async throws(SpawnError) -> Int32 {
        guard let directory = place.directory, let container = place.container else {
            throw .lost(during: "the container's start")
        }
        let deadline = Instant.now.advanced(by: Self.connectLimit)
        while place.connection == nil {
            let look = min(deadline, Instant.now.advanced(by: Self.connectLook))
            do throws(Errno) {
                place.connection = try await Stem.connection(on: directory, until: look, loop: loop)
            } catch {
                throw .host(doing: "waiting for the container", error)
            }
            if place.connection != nil { break }
            let state = try await asking { () throws(DockerError) in
                try await client.inspect(container, limits: limits)?.state
            }
            guard let state, state.isRunning else {
                let why = state.map { state in
                    state.error ?? state.exitCode.map { "exit status \($0)" } ?? "no reason given"
                }
                throw .engine(
                    step: "docker start",
                    reason: "the container ended before sandboxd-init spoke: "
                        + (why ?? "it is gone")
                )
            }
            guard Instant.now < deadline else { throw .silent(during: "the container's start") }
        }
        guard let connection = place.connection else {
            throw .lost(during: "the container's start")
        }
        do throws(Errno) {
            return try Stem.process(of: connection, running: directory.program)
        } catch {
            throw .engine(
                step: "docker connect",
                reason: "what connected from the container is not sandboxd-init: \(error)"
            )
        }
    }

    /// What meters it: the daemon's own, or the one that the engine put process 1 into.
    func cgroup(
        _ place: ContainerInUse,
        _ process: Int32
    ) throws(SpawnError) -> any Cgroup {
        if let cgroup = place.cgroup { return cgroup }
        let mounts: MountTable
        do throws(Errno) { mounts = try MountTable() } catch {
            throw .host(doing: "reading /proc/self/mountinfo", error)
        }
        let others = place.isRootful ? try parent(of: process) : []
        do throws(EngineCgroupError) {
            return try EngineCgroup(ofProcess: process, and: others, mounts: mounts)
        } catch {
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: EngineCgroupError) -> SpawnError {
        switch error {
        case .unusable(let error): .cgroup(error)
        case .shared(let path, let whom):
            .engine(
                step: "docker connect",
                reason: "the engine gave its container no cgroup of its own: it is in \(path) with "
                    + "\(whom); have the engine use cgroups (Podman: 'cgroups' in containers.conf)"
            )
        }
    }

    /// Of a container of root's, process 1 is the connected one's parent (`rootful.c`).
    private func parent(of process: Int32) throws(SpawnError) -> Set<Int32> {
        let file = "/proc/\(process)/status"
        let text: String
        do throws(Errno) { text = try KernelFile.read(file) } catch {
            throw .host(doing: "reading \(file)", error)
        }
        let line = text.split(separator: "\n").first { $0.hasPrefix("PPid:\t") }
        return Set([line.flatMap { Int32($0.dropFirst(6)) }].compactMap(\.self))
    }

    /// The engine's user namespace must number ids as the daemon does: then no two sandboxes, of
    /// whichever engine, have an id in common.
    func checkIDs(
        _ slot: SubordinateIDs.Slot,
        _ process: Int32
    ) throws(SpawnError) {
        do throws(Errno) {
            let users = try IDMap(file: "/proc/\(process)/uid_map")
            let groups = try IDMap(file: "/proc/\(process)/gid_map")
            for id in [slot.initID, slot.jobID] {
                guard users.outside(id) == ids.hostUser(id), groups.outside(id) == ids.hostGroup(id)
                else {
                    throw Errno.invalidArgument
                }
            }
        } catch .invalidArgument {
            throw .engine(
                step: "docker connect",
                reason:
                    "the engine maps other subordinate ids than /etc/subuid and /etc/subgid give "
                    + "this user: restart it"
            )
        } catch {
            throw .host(doing: "reading the container's id map", error)
        }
    }
}
