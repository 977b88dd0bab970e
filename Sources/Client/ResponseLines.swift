// SPDX-License-Identifier: Apache-2.0

/// A body that is lines, read as they come.
package struct ResponseLines {
    private let response: Response
    private var rest: ArraySlice<UInt8> = []

    package init(_ response: Response) {
        self.response = response
    }

    /// The next line without its end; nil after the last one.
    package mutating func next() throws(ClientError) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if let end = rest.firstIndex(of: 10) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                return line
            }
            line += rest
            rest = try response.next()[...]
            if rest.isEmpty { return line.isEmpty ? nil : line }
        }
    }
}
