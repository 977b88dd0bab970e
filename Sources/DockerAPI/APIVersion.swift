// SPDX-License-Identifier: Apache-2.0

/// A version of the engine's API: 1.41.
package struct APIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The oldest that has what we use: what Docker 20.10 and Podman 4 speak.
    package static let oldest = APIVersion(major: 1, minor: 41)
    /// The newest whose description we have read.
    package static let newest = APIVersion(major: 1, minor: 47)

    package let major: Int
    package let minor: Int

    package init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Reads "1.41"; nil when it is anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2,
            // Four digits are no overflow, and no version is that large.
            parts.allSatisfy({ (1...4).contains($0.count) && $0.utf8.allSatisfy(\.isDigit) }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major: major, minor: minor)
    }

    package static func < (left: APIVersion, right: APIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    package var description: String { "\(major).\(minor)" }

    /// The version that both sides speak.
    static func agreed(
        newest: APIVersion,
        oldest: APIVersion?
    ) throws(DockerError.Reason) -> APIVersion {
        if newest < Self.oldest { throw .tooOld(newest.description) }
        let agreed = min(newest, Self.newest)
        if let oldest, oldest > agreed { throw .tooNew(oldest.description) }
        return agreed
    }
}
