// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Policy

/// One layer of a sandbox, by the name that control runs use.
package enum Layer: String, Sendable, CaseIterable {
    case seccomp
    case landlock
    case procMasks = "proc_masks"
    case readOnlyRoot = "read_only_root"
    case networkNamespace = "network_namespace"
    case pidNamespace = "pid_namespace"
    case ipcNamespace = "ipc_namespace"
    case utsNamespace = "uts_namespace"
    case capabilities
    case noNewPrivs = "no_new_privs"
    case rlimits
    case workspaceSize = "workspace_size"
    case deviceList = "device_list"
    case descriptors
    case affinity
    case memoryCgroup = "memory_cgroup"
    case pidsCgroup = "pids_cgroup"
    case cpuCgroup = "cpu_cgroup"
    case outputCap = "output_cap"
    case environment

    /// Its bit of `enum sbx_layer`.
    var bit: UInt32 {
        switch self {
        case .seccomp: SBX_LAYER_SECCOMP.rawValue
        case .landlock: SBX_LAYER_LANDLOCK.rawValue
        case .procMasks: SBX_LAYER_PROC_MASKS.rawValue
        case .readOnlyRoot: SBX_LAYER_READ_ONLY_ROOT.rawValue
        case .networkNamespace: SBX_LAYER_NETWORK_NAMESPACE.rawValue
        case .pidNamespace: SBX_LAYER_PID_NAMESPACE.rawValue
        case .ipcNamespace: SBX_LAYER_IPC_NAMESPACE.rawValue
        case .utsNamespace: SBX_LAYER_UTS_NAMESPACE.rawValue
        case .capabilities: SBX_LAYER_CAPABILITIES.rawValue
        case .noNewPrivs: SBX_LAYER_NO_NEW_PRIVS.rawValue
        case .rlimits: SBX_LAYER_RLIMITS.rawValue
        case .workspaceSize: SBX_LAYER_WORKSPACE_SIZE.rawValue
        case .deviceList: SBX_LAYER_DEVICE_LIST.rawValue
        case .descriptors: SBX_LAYER_DESCRIPTORS.rawValue
        case .affinity: SBX_LAYER_AFFINITY.rawValue
        case .memoryCgroup: SBX_LAYER_MEMORY_CGROUP.rawValue
        case .pidsCgroup: SBX_LAYER_PIDS_CGROUP.rawValue
        case .cpuCgroup: SBX_LAYER_CPU_CGROUP.rawValue
        case .outputCap: SBX_LAYER_OUTPUT_CAP.rawValue
        case .environment: SBX_LAYER_ENVIRONMENT.rawValue
        }
    }
}

/// A set of layers.
package struct Layers: Sendable, Hashable {
    /// As bits of `enum sbx_layer`.
    let bits: UInt32

    /// All layers but these.
    package init(without: [Layer] = []) {
        bits = without.reduce(SBX_LAYER_ALL.rawValue) { $0 & ~$1.bit }
    }

    /// Whether the layer is on.
    package func has(_ layer: Layer) -> Bool {
        bits & layer.bit != 0
    }

    /// The layers that are off.
    package var missing: [Layer] {
        Layer.allCases.filter { !has($0) }
    }

    /// A policy's limits without the caps that a control run leaves out: so large that no probe,
    /// each of which is bounded by itself, meets them.
    func applied(to limits: Limits) -> Limits {
        var limits = limits
        if !has(.memoryCgroup) { limits.memoryBytes = 1 << 40 }
        if !has(.pidsCgroup) { limits.pids = 30_000 }
        if !has(.cpuCgroup) { limits.cpuMillicores = 64_000 }
        if !has(.outputCap) {
            limits.outputBytes = 1 << 30
            limits.outputTotalBytes = 1 << 40
        }
        return limits
    }
}
