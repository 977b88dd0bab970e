// SPDX-License-Identifier: Apache-2.0
import CSeccomp

/// A set of Linux capabilities, as the bits that capset(2) takes.
package struct CapabilitySet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The capability called `name` (`cap_net_raw`), or `nil` when libcap does not know it.
    package init?(name: String) {
        let bit = sbx_capability_bit(name)
        guard (0..<64).contains(bit) else { return nil }
        self.init(rawValue: 1 << UInt64(bit))
    }

    /// The names of its members, by bit.
    ///
    /// A bit that libcap has no name for is called `cap_` and its number.
    package var names: [String] {
        (0..<64).filter { rawValue & (1 << UInt64($0)) != 0 }.map { bit in
            CName.read { buffer, capacity in
                sbx_capability_name(Int32(bit), buffer, capacity)
            } ?? "cap_\(bit)"
        }
    }
}
