// SPDX-License-Identifier: Apache-2.0

/// Why what a request asks for was refused. Values are in the limit's `unit`.
package enum PolicyError: Error, Hashable, Sendable {
    /// More was asked for than the profile allows.
    case loosened(Limit, asked: UInt64, allowed: UInt64)

    /// Nothing was asked for, which no job can live on.
    case zero(Limit)

    /// Less was asked for than any job can start with, or the kernel can enforce.
    case tooSmall(Limit, asked: UInt64, floor: UInt64)

    /// The profile has no network at all.
    case noNetwork(EgressRule)

    /// The profile lets no request ask for this.
    case notAskable(EgressRule, askable: [EgressRule])

    /// The profile lets no request ask for this secret.
    case noSecret(String, askable: [String])

    /// More places than a run may have.
    case tooManyRules(Int)
}

extension PolicyError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .loosened(let limit, let asked, let allowed):
            "\(limit.rawValue): \(limit.written(asked)) was asked for, and a request can only"
                + " tighten: the profile allows \(limit.written(allowed))"
        case .zero(let limit):
            "\(limit.rawValue): zero was asked for; ask for at least "
                + limit.written(limit.allowed.lowerBound)
        case .tooSmall(let limit, let asked, let floor):
            "\(limit.rawValue): \(limit.written(asked)) was asked for; ask for at least "
                + limit.written(floor)
        case .noNetwork(let rule):
            "\(rule) was asked for, and the profile's network is none: use another profile"
        case .notAskable(let rule, let askable):
            "\(rule) was asked for, and the profile lets a request ask for "
                + (askable.isEmpty
                    ? "nothing" : askable.map(\.description).joined(separator: ", "))
        case .noSecret(let name, let askable):
            "the secret '\(name)' was asked for, and the profile lets a request ask for "
                + (askable.isEmpty ? "none" : askable.joined(separator: ", "))
        case .tooManyRules(let count):
            "\(count) places were asked for, and a run may have \(Network.rulesMax)"
        }
    }
}
