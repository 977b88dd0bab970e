// SPDX-License-Identifier: Apache-2.0

/// The daemon has a user of its own, and it is not root.
struct UserCheck: Check {
    let name = "user"

    func look(at patient: Patient) -> Finding {
        guard let account = patient.account else { return .noUser(patient) }
        guard account.uid != 0 else {
            return .missing("the daemon refuses to run as root", mend: "name a user with --user")
        }
        return .ok("\(account.name), uid \(account.uid)")
    }
}
