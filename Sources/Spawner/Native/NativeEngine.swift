// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Glibc
package import Kernel
internal import Policy
internal import SystemPackage

/// Makes sandboxes from the kernel's own parts: namespaces, cgroups, seccomp, Landlock.
///
/// One launcher serves an image; launchers are started when first needed and again when lost. A
/// few cells are made ahead of their runs; each is used once and never again.
package actor NativeEngine: Engine {
    /// After which a death that could not be watched for is watched for again.
    private static let watchPause = Duration.seconds(1)

    package nonisolated let name = "native"
    package nonisolated let loop: EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }
    package nonisolated let layers: Layers

    private let program: InitProgram
    private let cgroups: any CgroupTree
    private let sparesPerImage: Int
    private let ids: SubordinateIDs
    private var launchers: [String: Launcher] = [:]
    private var starting: [String: Task<Void, any Error>] = [:]
    private var spares: [String: [Spare]] = [:]
    private var nextCell: UInt64 = 0
    package private(set) var inventory: Set<String> = []
    /// Inits that outlived their runs, by their cells.
    private var outliving: [String: Outliving] = [:]

    private struct Outliving {
        let death: Descriptor
        let watch: EventLoop.Watch
    }

    /// `without` names layers to leave out; every other value than none is for control runs.
    package init(
        loop: EventLoop,
        program: InitProgram,
        cgroups: any CgroupTree,
        ids: SubordinateIDs,
        sparesPerImage: Int,
        without: [Layer] = []
    ) {
        self.loop = loop
        self.program = program
        self.cgroups = cgroups
        self.ids = ids
        self.sparesPerImage = sparesPerImage
        layers = Layers(without: without)
    }

    package func begin(_ request: RunRequest, _ launched: @escaping Launched) async throws -> Cell {
        let launcher = try await launcher(for: request.image)
        let spare = try takeSpare(request.image) ?? makeCell(launcher)
        spare.tell(launched)
        return spare.cell
    }

    package func jobStarted(_ request: RunRequest) {
        let image = request.image.rootfs
        guard let launcher = launchers[image], launcher.isServing else { return }
        while spares[image, default: []].count < sparesPerImage {
            // Without ids or cgroups to spare there is no spare; a run says why.
            guard let spare = try? makeCell(launcher) else { return }
            spares[image, default: []].append(spare)
        }
    }

    package func jobEnded(in cell: Cell) {}

    package func end(_ cell: Cell) -> [String] {
        inventory.remove(cell.id)
        ids.giveBack(cell.slot)
        return []
    }

    package func abandon(_ cell: Cell, until death: Descriptor) {
        inventory.remove(cell.id)
        do throws(Errno) {
            let watch = try loop.watch(death, for: .readable) { [self] in
                assumeIsolated { $0.died(cell) }
            }
            outliving[cell.id] = Outliving(death: death, watch: watch)
        } catch {
            // The kernel has no room for a watch now.
            _ = loop.schedule(at: .now.advanced(by: Self.watchPause)) { [self] in
                assumeIsolated { $0.abandon(cell, until: death) }
            }
        }
    }

    private func died(_ cell: Cell) {
        guard let outliving = outliving.removeValue(forKey: cell.id) else { return }
        loop.unwatch(outliving.watch)
        ids.giveBack(cell.slot)
    }

    /// Its sandboxes leave nothing but cgroups.
    package func strays() -> Set<Stray> { [] }

    package func remove(_ stray: Stray) {}

    /// Ends every launcher and with them every sandbox. What cgroups are left is for the caller.
    package func stop() {
        for launcher in launchers.values { launcher.stop() }
        launchers = [:]
        spares = [:]
    }

    // MARK: Cells

    private func takeSpare(_ image: RootImage) -> Spare? {
        while var waiting = spares[image.rootfs], !waiting.isEmpty {
            let spare = waiting.removeFirst()
            spares[image.rootfs] = waiting
            if !spare.hasFailed { return spare }
            discard(spare)
        }
        return nil
    }

    /// Asks the launcher for a cell and lets its init make what every sandbox has.
    private func makeCell(_ launcher: Launcher) throws(SpawnError) -> Spare {
        let slot = try ids.take()
        nextCell += 1
        let id = "cell-\(nextCell)"
        inventory.insert(id)
        let cgroup: any Cgroup
        do throws(CgroupError) { cgroup = try cgroups.make(id) } catch {
            ids.giveBack(slot)
            inventory.remove(id)
            throw .cgroup(error)
        }
        do throws(Errno) {
            let (ours, theirs) = try Channel.pair()
            let (prepare, masked) = PlanMessage.prepare(layers)
            try Channel.sendOnce(ours, SBX_PREPARE, prepare, trailing: masked)
            let spare = Spare(
                Cell(
                    id: id,
                    cgroup: cgroup,
                    control: ours,
                    slot: slot,
                    hostInitUser: ids.hostUser(slot.initID),
                    hostJobUser: ids.hostUser(slot.jobID),
                    hostJobGroup: ids.hostGroup(slot.jobID)
                )
            )
            launcher.launch(slot: slot, control: theirs, birthplace: cgroup.birthplace) {
                spare.launched($0)
            }
            return spare
        } catch {
            // Undoing: the first error is the one to tell.
            try? cgroup.remove()
            ids.giveBack(slot)
            inventory.remove(id)
            throw .host(doing: "making a control channel", error)
        }
    }

    /// Takes back a cell that no run had. Its init ends with the control channel.
    private func discard(_ spare: Spare) {
        // An init that is still ending keeps it busy; the reaper sweeps it then.
        try? spare.cell.cgroup.remove()
        inventory.remove(spare.cell.id)
        ids.giveBack(spare.cell.slot)
    }

    // MARK: Launchers

    private func launcher(for image: RootImage) async throws -> Launcher {
        let key = image.rootfs
        while true {
            if let launcher = launchers[key], launcher.isServing { return launcher }
            if let start = starting[key] {
                try await start.value
                continue
            }
            for spare in spares.removeValue(forKey: key) ?? [] { discard(spare) }
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
