// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// A sandbox can have a /proc of its own.
///
/// The kernel refuses it (EPERM) to a user namespace while something hides parts of the /proc that
/// is visible: mounts over it, as containers and some settings of systemd's make them.
struct ProcCheck: Check {
    let name = "proc"

    func look(at patient: Patient) -> Finding {
        guard patient.account != nil else { return .noUser(patient) }
        do throws(Errno) {
            let arguments = UserNamespacesCheck.options + ["--mount-proc", "/bin/true"]
            guard let outcome = try patient.run("unshare", arguments) else {
                return .info("unshare(1) is not here to try it")
            }
            if outcome.status == 0 { return .ok("a new one can be mounted") }
            let covers = try MountTable().mounts.map(\.target).filter { $0.hasPrefix("/proc/") }
            guard !covers.isEmpty, outcome.output.contains("/proc") else {
                return .missing(
                    "no sandbox can have one: \(outcome.lastLine)",
                    mend: "mend 'namespaces' first"
                )
            }
            return .missing(
                "mounts hide parts of it: \(covers.joined(separator: ", "))",
                mend: "take the mounts away; in a container: unmask /proc "
                    + "(--security-opt systempaths=unconfined)"
            )
        } catch {
            return .missing("it could not be tried: \(error)", mend: "mount /proc")
        }
    }
}
