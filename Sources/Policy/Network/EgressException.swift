// SPDX-License-Identifier: Apache-2.0

/// An address of no public network that runs may reach all the same, because the operator says so.
package enum EgressException: Sendable, Hashable {
    /// These addresses, whatever name stands for them: `10.1.2.0/24`.
    case range(AddressRange)
    /// This name, which stands for this address and no other: `intranet.example=10.1.2.3`.
    case name(String, IPAddress)

    /// Reads either.
    package init?(_ text: String) {
        guard let equals = text.firstIndex(of: "=") else {
            guard let range = AddressRange(text) else { return nil }
            self = .range(range)
            return
        }
        let rest = text[text.index(after: equals)...]
        guard let host = try? HostName(text[..<equals].utf8), case .name(let name) = host,
            let address = IPAddress(v4: rest) ?? IPAddress(v6: rest)
        else { return nil }
        self = .name(name, address)
    }
}
