// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The daemon and the sandboxes' process 1 are beside this program.
struct ProgramsCheck: Check {
    let name = "programs"

    func look(at patient: Patient) -> Finding {
        do throws(Errno) {
            let installation = try Installation()
            for program in [installation.daemon, installation.initProgram]
            where access(program, X_OK) != 0 {
                return .missing(
                    "\(program): \(Errno(rawValue: errno))",
                    mend: "run 'make build', or install it beside this program"
                )
            }
            return .ok("sandboxd-daemon and sandboxd-init are in \(installation.directory)")
        } catch {
            return .missing("/proc/self/exe: \(error)", mend: "mount /proc")
        }
    }
}
