// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The kernel is new enough: clone3 with CLONE_INTO_CGROUP (5.7), close_range (5.9), cgroup.kill
/// (5.14).
struct KernelCheck: Check {
    let name = "kernel"

    func look(at patient: Patient) -> Finding {
        let release: String
        do throws(Errno) {
            let text = try KernelFile.read("/proc/sys/kernel/osrelease")
            release = String(text.prefix { $0 != "\n" })
        } catch {
            return .missing("/proc/sys/kernel/osrelease: \(error)", mend: "mount /proc")
        }
        let numbers = release.split { $0 == "." || $0 == "-" }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return .info("'\(release)' is no version I can read") }
        guard (numbers[0], numbers[1]) >= (5, 14) else {
            return .missing(
                "\(release) is too old: cgroup.kill came with 5.14",
                mend: "install a kernel of 5.14 or later (Debian 12 has 6.1)"
            )
        }
        return .ok(release)
    }
}
