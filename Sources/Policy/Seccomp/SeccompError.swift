// SPDX-License-Identifier: Apache-2.0

/// Why there is no filter for a policy.
package enum SeccompError: Error, Hashable, Sendable {
    /// It would be longer than the kernel takes.
    case tooLong(instructions: Int)
}

extension SeccompError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong(let instructions):
            "the filter has \(instructions) instructions, and the kernel takes "
                + "\(SeccompProgram.mostInstructions); take additions out of the profile"
        }
    }
}
