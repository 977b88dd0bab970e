// SPDX-License-Identifier: Apache-2.0

/// Why a request's limits were refused. Values are in the limit's `unit`.
package enum PolicyError: Error, Hashable, Sendable {
    /// More was asked for than the profile allows.
    case loosened(Limit, asked: UInt64, allowed: UInt64)

    /// Nothing was asked for, which no job can live on.
    case zero(Limit)

    /// Less was asked for than any job can start with, or the kernel can enforce.
    case tooSmall(Limit, asked: UInt64, floor: UInt64)
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
        }
    }
}
