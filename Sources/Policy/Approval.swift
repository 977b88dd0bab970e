// SPDX-License-Identifier: Apache-2.0

/// When a person's word is needed before a run of a profile.
package enum Approval: String, Sendable, Hashable, CaseIterable {
    case never
    /// Always.
    case required
    /// When the request asks to reach more than the profile's own list.
    case egress

    /// Whether a request that asks for `rules` needs one.
    package func isNeeded(askingFor rules: [EgressRule]) -> Bool {
        switch self {
        case .never: false
        case .required: true
        case .egress: !rules.isEmpty
        }
    }
}

extension Entry {
    /// One of the words.
    func approval() throws(ProfileError) -> Approval {
        let text = try text()
        guard let approval = Approval(rawValue: text) else {
            throw refusal(
                "\"\(text)\" says not when",
                mend: "write never, required, or egress for what is asked to be reached"
            )
        }
        return approval
    }
}
