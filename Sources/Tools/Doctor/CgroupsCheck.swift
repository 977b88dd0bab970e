// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The daemon may make cgroups that meter and cap memory, tasks and CPU.
struct CgroupsCheck: Check {
    let name = "cgroups"

    func look(at patient: Patient) -> Finding {
        guard let account = patient.account else { return .noUser(patient) }
        do throws(Errno) {
            let mounts = try MountTable()
            guard let mount = mounts.cgroupV2 else { return v1(mounts, account, patient) }
            return try v2(mount, account, patient)
        } catch {
            return .missing("they cannot be looked at: \(error)", mend: "mount /proc and /sys")
        }
    }

    private func v1(_ mounts: MountTable, _ account: Account, _ patient: Patient) -> Finding {
        var missing = ""
        guard let directories = DelegatedCgroups.v1(mounts, missing: { missing = $0 }) else {
            return noController(missing)
        }
        if let foreign = foreignPath(in: directories, account) {
            return .missing("v1: \(foreign)", mend: patient.setup)
        }
        return .ok("v1, delegated: \(directories.map(\.path).joined(separator: ", "))")
    }

    private func v2(
        _ mount: String,
        _ account: Account,
        _ patient: Patient
    ) throws(Errno) -> Finding {
        let available = try KernelFile.read(mount + "/cgroup.controllers")
            .split(whereSeparator: \.isWhitespace)
        for controller in DelegatedCgroups.controllersV2
        where !available.contains(Substring(controller)) {
            return noController(controller)
        }
        if DelegatedCgroups.isSystemdRunning {
            guard access(UnitStep.path, F_OK) == 0 else {
                return .missing("v2: the unit \(UnitStep.path) is not there", mend: patient.setup)
            }
            return .ok("v2, delegated by systemd (\(UnitStep.path))")
        }
        let directory = DelegatedCgroups.v2(mount)
        if let foreign = foreignPath(in: [directory], account) {
            return .missing("v2: \(foreign)", mend: patient.setup)
        }
        return .ok("v2, delegated: \(directory.path)")
    }

    private func noController(_ controller: String) -> Finding {
        .missing(
            "there is no controller '\(controller)'",
            mend: "enable it on the kernel's command line (cgroup_enable=\(controller))"
        )
    }

    /// A sentence about the first path that is not the user's; nil when all are.
    private func foreignPath(
        in directories: [DelegatedCgroups.Directory],
        _ account: Account
    ) -> String? {
        for path in directories.flatMap(\.paths) {
            do throws(Errno) {
                guard try DelegatedCgroups.owner(path) == account.uid else {
                    return "\(path) does not belong to '\(account.name)'"
                }
            } catch {
                return "\(path): \(error)"
            }
        }
        return nil
    }
}
