// SPDX-License-Identifier: Apache-2.0
package import Policy

/// A host and a port, as a client names where it wants to go.
package struct Authority: Sendable, Hashable, CustomStringConvertible {
    package let host: HostName
    package let port: UInt16

    package init(host: HostName, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; without a port it is `defaultPort`, where there is one.
    package init(_ bytes: some Collection<UInt8>, defaultPort: UInt16?) throws(EgressRefusal) {
        let all = Array(bytes)
        let end = all.last == UInt8(ascii: "]") ? nil : all.lastIndex(of: UInt8(ascii: ":"))
        do throws(HostName.Refusal) {
            host = try HostName(all[..<(end ?? all.endIndex)])
        } catch {
            throw .malformed(error.description)
        }
        guard let end else {
            guard let defaultPort else { throw .malformed("the port is missing") }
            port = defaultPort
            return
        }
        let digits = all[(end + 1)...]
        guard (1...5).contains(digits.count), digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(String(decoding: digits, as: UTF8.self))
        else { throw .malformed("the port is no number from 1 to 65535") }
        self.port = port
    }

    package var description: String { "\(host):\(port)" }
}
