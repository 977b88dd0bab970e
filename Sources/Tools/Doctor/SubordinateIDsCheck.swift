// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// The daemon's user has ids to give to sandboxes, and nobody else has them.
struct SubordinateIDsCheck: Check {
    let name = "subordinate-ids"

    /// Each sandbox that is alive takes two.
    private static let least: UInt64 = 2

    func look(at patient: Patient) -> Finding {
        var counts: [UInt64] = []
        for path in ["/etc/subuid", "/etc/subgid"] {
            do throws(Errno) {
                let file = try SubordinateFile(path)
                let line = file.largest(of: patient.userName, uid: patient.account?.uid)
                guard let line, line.count >= Self.least else {
                    return .missing(
                        "\(path) has no range for '\(patient.userName)'",
                        mend: patient.setup
                    )
                }
                let overlap = file.overlap(
                    with: line.ids,
                    user: patient.userName,
                    uid: patient.account?.uid
                )
                if let overlap {
                    return .missing(
                        "\(path): '\(overlap.owner)' has some of the same ids",
                        mend: "take one of the lines out, then \(patient.setup)"
                    )
                }
                counts.append(line.count)
            } catch {
                return .missing("\(path): \(error)", mend: "make it readable")
            }
        }
        let sandboxes = (counts.min() ?? 0) / 2
        return .ok("enough for \(sandboxes) sandboxes at once")
    }
}
