// SPDX-License-Identifier: Apache-2.0
internal import Images
internal import Policy

/// The image of every profile is built.
struct ImagesCheck: Check {
    let name = "images"

    func look(at patient: Patient) -> Finding {
        guard let profiles = try? patient.profiles.store() else {
            return .missing("it takes profiles to know which", mend: "mend 'profiles' first")
        }
        var found: Set<String> = []
        do {
            let store = try patient.images.store()
            for name in profiles.names {
                found.insert(try store.resolve(try profiles.policy(named: name).image).name ?? "")
            }
        } catch ImageError.missing(let name, let store) {
            return .missing(
                "image '\(name)' is not in \(store)",
                mend: "run 'sandboxd image build images/\(name)', or 'make image'"
            )
        } catch {
            return .missing("\(error)", mend: "name a directory with --images")
        }
        return .ok(found.sorted().joined(separator: ", "))
    }
}
