// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// The kernel filters system calls, with the two answers that the filters give.
struct SeccompCheck: Check {
    let name = "seccomp"

    private static let file = "/proc/sys/kernel/seccomp/actions_avail"

    func look(at patient: Patient) -> Finding {
        let mend = "use a kernel with CONFIG_SECCOMP_FILTER=y, as all of Debian's are"
        do throws(Errno) {
            let actions = try KernelFile.read(Self.file).split(whereSeparator: \.isWhitespace)
            for action in ["kill_process", "errno"] where !actions.contains(Substring(action)) {
                return .missing("the kernel's filters cannot answer '\(action)'", mend: mend)
            }
            return .ok("filters can be loaded")
        } catch {
            return .missing("\(Self.file): \(error)", mend: mend)
        }
    }
}
