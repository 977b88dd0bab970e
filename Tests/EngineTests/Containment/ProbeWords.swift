// SPDX-License-Identifier: Apache-2.0

/// A layer of a sandbox that a control run can leave out.
enum ProbeLayer: String, Decodable, Sendable, CaseIterable {
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
    case memoryCgroup = "memory_cgroup"
    case pidsCgroup = "pids_cgroup"
    case cpuCgroup = "cpu_cgroup"
    case affinity
    case rlimits
    case workspaceSize = "workspace_size"
    case deviceList = "device_list"
    case environment
    case descriptors
    case outputCap = "output_cap"
}

/// Somebody who looks from the host. `probes.yaml` says at what.
enum ProbeOracle: String, Decodable, Sendable, CaseIterable {
    case canaryFilesUnread = "canary_files_unread"
    case noCanaryInResults = "no_canary_in_results"
    case imageTreeUnchanged = "image_tree_unchanged"
    case initProgramUnchanged = "init_program_unchanged"
    case hostSysctlUnchanged = "host_sysctl_unchanged"
    case hostIdentityUnchanged = "host_identity_unchanged"
    case hostClockUnchanged = "host_clock_unchanged"
    case hostMountsUnchanged = "host_mounts_unchanged"
    case hostDiskUnchanged = "host_disk_unchanged"
    case noProcessLeft = "no_process_left"
    case noIPCLeft = "no_ipc_left"
    case noCgroupLeft = "no_cgroup_left"
    case noNamespaceLeft = "no_namespace_left"
    case receiptClean = "receipt_clean"
    case listenerUntouched = "listener_untouched"
    case sentinelAlive = "sentinel_alive"
    case neighbourAlive = "neighbour_alive"
    case daemonAlive = "daemon_alive"
    case daemonMemoryBounded = "daemon_memory_bounded"
    case cpuRateHeld = "cpu_rate_held"
    case cpuCharged = "cpu_charged"
    case artifactNamesRoundTrip = "artifact_names_round_trip"
    case outputIsJSON = "output_is_json"
    case terminalClean = "terminal_clean"
    case uidRangesDistinct = "uid_ranges_distinct"
    case outputMarked = "output_marked"
}

/// How a run ended, in the API's words.
enum ProbeVerdict: String, Decodable, Sendable {
    case ok, exit, signal, oom, pids, output, disk, seccomp, cancelled
    case wallTime = "wall_time"
    case cpuTime = "cpu_time"
    case engineError = "engine_error"
}

/// One of the probe's output streams.
enum ProbeStream: String, Decodable, Sendable {
    case stdout, stderr
}

/// Something that not every host has.
enum ProbeNeed: String, Decodable, Sendable, CaseIterable {
    /// open_by_handle_at is no longer for root alone.
    case kernel6x11 = "kernel_6_11"
    /// open_tree_attr exists.
    case kernel6x15 = "kernel_6_15"
    /// statmount, listmount and lsm_list_modules exist.
    case kernel6x8 = "kernel_6_8"
    /// The kernel runs 32-bit programs.
    case ia32Emulation = "ia32_emulation"
    /// Landlock knows abstract sockets.
    case landlockABI6 = "landlock_abi_6"
    /// The host may use two processors or more.
    case twoProcessors = "two_processors"
    /// The host has a default route.
    case defaultRoute = "default_route"
    /// Sandboxes are metered by version 1 of cgroups.
    case cgroupV1 = "cgroup_v1"
    /// The host's kernel makes AF_VSOCK sockets.
    case vsock
    /// The profile's image has Python.
    case python
    /// Rows that name no profile run under the profile code, whose figures the row has.
    case codeProfile = "code_profile"
    /// The image of browser jobs is built.
    case browserImage = "browser_image"
    /// The sandbox is in no other engine's container, whose walls would stand where a layer is off.
    case nativeEngine = "native_engine"
}

/// An error as lines report it.
enum ProbeErrno: String, Decodable, Sendable {
    case EPERM, ENOENT, EACCES, ENOTDIR, EMFILE, EFBIG, ENOSPC, ENOSYS, EAFNOSUPPORT
    case EADDRNOTAVAIL, ENETUNREACH, ECONNREFUSED, EDQUOT
    /// No errno: the attempt's process was killed by this signal.
    case SIGSYS

    /// Its number on Linux, on every architecture we run on.
    var number: Int {
        switch self {
        case .EPERM: 1
        case .ENOENT: 2
        case .EACCES: 13
        case .ENOTDIR: 20
        case .EMFILE: 24
        case .EFBIG: 27
        case .ENOSPC: 28
        case .SIGSYS: 31
        case .ENOSYS: 38
        case .EAFNOSUPPORT: 97
        case .EADDRNOTAVAIL: 99
        case .ENETUNREACH: 101
        case .ECONNREFUSED: 111
        case .EDQUOT: 122
        }
    }
}
