// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// An unprivileged user may make the namespaces that sandboxes are made of.
struct UserNamespacesCheck: Check {
    let name = "namespaces"

    /// unshare(1)'s words for the seven of them, the user's first.
    static let options = [
        "--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc",
        "--cgroup",
    ]

    func look(at patient: Patient) -> Finding {
        guard patient.account != nil else { return .noUser(patient) }
        let sysctl = "/proc/sys/user/max_user_namespaces"
        if number(sysctl) == 0 {
            return .missing(
                "\(sysctl) is 0",
                mend: "'sysctl user.max_user_namespaces=65536', and a line in /etc/sysctl.d"
            )
        }
        if number("/proc/sys/kernel/unprivileged_userns_clone") == 0 {
            return .missing(
                "kernel.unprivileged_userns_clone is 0",
                mend: "'sysctl kernel.unprivileged_userns_clone=1', and a line in /etc/sysctl.d"
            )
        }
        if AppArmorStep.isNeeded {
            // unshare(1) has no leave of its own there; what it could do would prove nothing.
            guard access(AppArmorStep.path, F_OK) == 0 else {
                return .missing(
                    "AppArmor keeps user namespaces from programs without a profile",
                    mend: patient.setup
                )
            }
            return .ok("allowed by the AppArmor profile \(AppArmorStep.path)")
        }
        return attempt(patient)
    }

    /// Makes them, for a moment.
    private func attempt(_ patient: Patient) -> Finding {
        do throws(Errno) {
            guard let outcome = try patient.run("unshare", Self.options + ["/bin/true"]) else {
                return .info("allowed, it seems: unshare(1) is not here to try it")
            }
            guard outcome.status == 0 else {
                return .missing(
                    "they cannot be made: \(outcome.lastLine)",
                    mend: "if this is a container, let it make user namespaces; "
                        + "else look for a security module's word in the kernel's log"
                )
            }
            return .ok("all seven can be made")
        } catch {
            return .missing(
                "no program can be started: \(error)",
                mend: "look at the user's limits"
            )
        }
    }

    private func number(_ path: String) -> UInt64? {
        // A kernel without the file has no such switch.
        try? KernelFile.number(path)
    }
}
