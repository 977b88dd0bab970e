// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Swap is accounted, so that a memory cap cannot be slipped by swapping.
struct SwapCheck: Check {
    let name = "swap"

    func look(at patient: Patient) -> Finding {
        do throws(Errno) {
            let mounts = try MountTable()
            if let mount = mounts.cgroupV1(controller: "memory") {
                return finding(mount + "/memory.memsw.limit_in_bytes")
            }
            guard let mount = mounts.cgroupV2 else {
                return .missing("there is no memory controller", mend: "mend 'cgroups' first")
            }
            guard let cgroup = cappedCgroup(below: mount) else {
                return .info("no cgroup here has memory.max, so memory.swap.max cannot be seen")
            }
            return finding(cgroup + "/memory.swap.max")
        } catch {
            return .missing("it cannot be looked at: \(error)", mend: "mount /proc and /sys")
        }
    }

    private func finding(_ file: String) -> Finding {
        guard access(file, F_OK) == 0 else {
            return .missing(
                "swap is not accounted: there is no \(file)",
                mend: "add swapaccount=1 to the kernel's command line"
            )
        }
        return .ok("accounted")
    }

    /// A v2 cgroup with the memory controller on; the root has no limits to look at.
    private func cappedCgroup(below mount: String) -> String? {
        let names = ["/sandboxd", "/system.slice", "/user.slice", "/init.scope"]
        return names.map { mount + $0 }.first { access($0 + "/memory.max", F_OK) == 0 }
    }
}
