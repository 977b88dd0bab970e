// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Kernel
internal import Policy

/// PLAN and COMMAND as init wants them: a policy, put into bytes.
enum PlanMessage {
    /// CPUs that the daemon itself may use, in ascending order.
    private static let usableCPUs: [Int] = {
        var bytes = [UInt8](repeating: 0, count: 128)
        // Cannot fail for the calling process on a machine of up to 1024 CPUs.
        guard clx_usable_cpus(&bytes, bytes.count) >= 0 else { return [0] }
        return (0..<bytes.count * 8).filter { bytes[$0 / 8] & (1 << ($0 % 8)) != 0 }
    }()

    /// The CPUs of one sandbox: as many as it may see, in turn, so that sandboxes spread.
    static func cpus(for limits: Limits, slot: SubordinateIDs.Slot) -> [Int] {
        let count = min(limits.visibleCPUs, usableCPUs.count)
        let start = Int(slot.number) * count
        return (0..<count).map { usableCPUs[(start + $0) % usableCPUs.count] }.sorted()
    }

    /// The head of a synthetic file of this name.
    static func synthetic(_ name: String) -> sbx_synthetic {
        var message = sbx_synthetic()
        withUnsafeMutableBytes(of: &message.name) { $0.copyBytes(from: name.utf8.prefix(63)) }
        return message
    }

    /// The message, and what follows it.
    static func prepare(_ layers: Layers) -> (sbx_prepare, trailing: [UInt8]) {
        var prepare = sbx_prepare()
        prepare.layers = layers.bits
        withUnsafeMutableBytes(of: &prepare.hostname) { $0.copyBytes(from: "sandbox".utf8) }
        return (prepare, maskedPaths)
    }

    private static let maskedPaths = SyntheticProc.masked.reduce(into: [UInt8]()) {
        $0 += Array(($1.path + ($1.isDirectory ? "/" : "")).utf8) + [0]
    }

    /// The message, what follows it, and its descriptors.
    static func plan(
        policy: Policy,
        filter: [UInt8],
        cell: Cell,
        proxyPort: UInt16,
        witness: Witness
    ) -> (sbx_plan, trailing: [UInt8], [Descriptor]) {
        let limits = policy.limits
        let cpus = cpus(for: limits, slot: cell.slot)
        let covered = SyntheticProc.covered(cpus: cpus.count).reduce(into: [UInt8]()) {
            $0 += Array($1.name.utf8) + [0] + Array($1.path.utf8) + [0]
        }
        let meters = cell.cgroup.meters
        var plan = sbx_plan()
        plan.workspace_bytes = limits.workspaceBytes
        plan.workspace_inodes = limits.workspaceInodes
        plan.shared_memory_bytes = limits.sharedMemoryBytes
        plan.open_files = UInt64(limits.openFiles)
        plan.file_bytes = limits.workspaceBytes
        // A second wall behind the cgroup's counter, for each process by itself.
        plan.cpu_seconds = limits.cpuTime.wholeNanoseconds / 1_000_000_000 + 2
        plan.filter_bytes = UInt32(filter.count)
        plan.covered_bytes = UInt32(covered.count)
        plan.join_count = UInt32(cell.cgroup.joinFiles.count)
        plan.meters = SBX_METER_OOM.rawValue | SBX_METER_PIDS.rawValue | SBX_METER_CPU.rawValue
        plan.meters |= meters.oomEventIsKill ? SBX_METER_OOM_ALWAYS.rawValue : 0
        plan.meters |= meters.cpuUsageIsNanoseconds ? SBX_METER_CPU_NANOSECONDS.rawValue : 0
        plan.meters |= meters.pidsEventsAreSilent ? SBX_METER_PIDS_SILENT.rawValue : 0
        plan.proxy_port = UInt32(proxyPort)
        plan.witness = witness.number
        plan.nested_namespaces = policy.nestedNamespaces == nil ? 0 : 1
        withUnsafeMutableBytes(of: &plan.affinity) { bytes in
            for cpu in cpus { bytes[cpu / 8] |= 1 << (cpu % 8) }
        }
        let descriptors =
            cell.cgroup.joinFiles + [
                meters.oomEvent, meters.oomCounter, meters.pidsEvents, meters.cpuUsage,
            ]
        return (plan, filter + covered, descriptors)
    }

    /// The message and the strings that follow it in BLOBs.
    static func command(_ request: RunRequest) -> (sbx_command, strings: [UInt8]) {
        let limits = request.policy.limits
        let environment = request.environment.map { $0 + "=" + $1 }.sorted()
        var strings: [UInt8] = []
        for text in request.arguments + environment + [request.workingDirectory] {
            strings.append(contentsOf: text.utf8)
            strings.append(0)
        }
        var command = sbx_command()
        command.wall_ns = limits.wallTime.wholeNanoseconds
        command.cpu_ns = limits.cpuTime.wholeNanoseconds
        command.artifact_bytes = limits.artifactBytes
        command.artifact_count = request.collectsArtifacts ? limits.artifactCount : 0
        command.argument_count = UInt32(request.arguments.count)
        command.environment_count = UInt32(environment.count)
        command.strings_bytes = UInt32(strings.count)
        return (command, strings)
    }
}
