// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// newuidmap and newgidmap, the only privileged programs that take part, are there and privileged.
struct IDHelpersCheck: Check {
    let name = "id-helpers"

    func look(at patient: Patient) -> Finding {
        for program in ["newuidmap", "newgidmap"] {
            guard let tool = HostTool(program) else {
                return .missing(
                    "\(program) is not installed",
                    mend: "run 'apt-get install uidmap'"
                )
            }
            guard isPrivileged(tool.path) else {
                return .missing(
                    "\(tool.path) is neither set-user-id root nor has it capabilities",
                    mend: "run 'apt-get install --reinstall uidmap'"
                )
            }
        }
        return .ok("newuidmap and newgidmap are installed")
    }

    /// Set-user-id root, as Debian has them, or with the one capability that each needs.
    private func isPrivileged(_ path: String) -> Bool {
        var status = stat()
        if stat(path, &status) == 0, status.st_uid == 0, status.st_mode & S_ISUID != 0 {
            return true
        }
        // getxattr(2) is not in Swift's Glibc. Without the tool a capability cannot be seen, and
        // then it counts as missing: the other fault would only show at the first run.
        let capabilities = try? HostTool("getcap")?.run([path]).output
        return capabilities?.contains("cap_set") == true
    }
}
