// SPDX-License-Identifier: Apache-2.0

/// A header that the proxy puts into plain requests to one place, so that the sandbox never sees it.
package struct HeaderRule: Sendable {
    package let place: Authority
    package let name: String
    package let value: String
    /// What such requests are sent on over; nil sends them as they are.
    package let tls: ServerTLS?

    package init(place: Authority, name: String, value: String, tls: ServerTLS? = nil) {
        self.place = place
        self.name = name
        self.value = value
        self.tls = tls
    }
}

/// Its value is nobody's to see, however it comes to be printed.
extension HeaderRule: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "\(name) to \(place)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
