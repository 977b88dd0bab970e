// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Kernel
internal import Policy
internal import SystemPackage

/// Makes sandboxes from the kernel's own parts: namespaces, cgroups, seccomp, Landlock.
///
/// One launcher serves an image; launchers are started when first needed and again when lost.
package actor NativeEngine: Engine {
    package nonisolated let name = "native"
    package nonisolated let loop: EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    package nonisolated let layers: Layers

    private let program: InitProgram
    private let cgroups: any CgroupTree
    private var ids: SubordinateIDs
    private var launchers: [String: Launcher] = [:]
    private var starting: [String: Task<Void, any Error>] = [:]

    /// `without` names layers to leave out; every other value than none is for control runs.
    package init(
        loop: EventLoop, program: InitProgram, cgroups: any CgroupTree, ids: SubordinateIDs,
        without: [Layer] = []
    ) {
        self.loop = loop
        self.program = program
        self.cgroups = cgroups
        self.ids = ids
        layers = Layers(without: without)
    }

    /// How many more sandboxes its ids allow.
    package var capacity: Int { ids.available }

    /// Starts the launcher of an image ahead of its first run.
    package func prepare(_ image: RootImage) async throws {
        _ = try await launcher(for: image)
    }

    package func begin(
        _ request: RunRequest, control: Descriptor, _ launched: @escaping Launched
    ) async throws -> Cell {
        let launcher = try await launcher(for: request.image)
        let limits = CgroupLimits(
            memoryBytes: request.policy.limits.memoryBytes,
            swapBytes: request.policy.limits.swapBytes,
            // init is a task too.
            pids: request.policy.limits.pids + 1,
            cpuMillicores: request.policy.limits.cpuMillicores)
        let slot = try ids.take()
        // On v2 the process is born into its cgroup, so that comes first. On v1 it enters by
        // itself, so the cgroup is made while the kernel makes the namespaces.
        let isBornInside = cgroups.version == 2
        do throws(CgroupError) {
            let early: (any Cgroup)?
            if isBornInside {
                early = try make(request.attempt, limits)
            } else {
                early = nil
            }
            launcher.launch(
                slot: slot, control: control, birthplace: early?.birthplace, launched)
            let cgroup: any Cgroup
            if let early {
                cgroup = early
            } else {
                cgroup = try make(request.attempt, limits)
            }
            return Cell(
                cgroup: cgroup, limits: limits, slot: slot,
                hostInitUser: ids.hostUser(slot.initID), hostJobUser: ids.hostUser(slot.jobID),
                hostJobGroup: ids.hostGroup(slot.jobID))
        } catch {
            // Whatever was launched sees its control channel end, and ends.
            ids.giveBack(slot)
            throw SpawnError.cgroup(error)
        }
    }

    package func end(_ cell: Cell) {
        ids.giveBack(cell.slot)
    }

    /// Ends every launcher and with them every sandbox.
    package func stop() {
        for launcher in launchers.values { launcher.stop() }
        launchers = [:]
    }

    private func make(
        _ attempt: AttemptID, _ limits: CgroupLimits
    ) throws(CgroupError) -> any Cgroup {
        try cgroups.make(attempt.description, limits: limits)
    }

    private func launcher(for image: RootImage) async throws -> Launcher {
        let key = image.rootfs
        while true {
            if let launcher = launchers[key], launcher.isServing { return launcher }
            if let start = starting[key] {
                try await start.value
                continue
            }
            let start = Task { try await self.startLauncher(for: image) }
            starting[key] = start
            defer { starting[key] = nil }
            try await start.value
        }
    }

    private func startLauncher(for image: RootImage) async throws {
        let launcher = Launcher(image: image, ids: ids, layers: layers.bits, loop: loop)
        try await launcher.start(program)
        launchers[image.rootfs] = launcher
    }
}
