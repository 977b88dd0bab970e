// SPDX-License-Identifier: Apache-2.0
internal import Policy

/// Every profile loads.
struct ProfilesCheck: Check {
    let name = "profiles"

    func look(at patient: Patient) -> Finding {
        do {
            let names = try patient.profiles.store().names
            guard !names.isEmpty else {
                return .missing(
                    "\(try patient.profiles.directory()) has none",
                    mend: "copy the directory 'profiles' of the source there"
                )
            }
            return .ok(names.joined(separator: ", "))
        } catch {
            return .missing("\(error)", mend: "mend the file, or name a directory with --profiles")
        }
    }
}
