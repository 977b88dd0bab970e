// SPDX-License-Identifier: Apache-2.0

/// An HTTP answer, complete.
struct EngineAnswer: Sendable, Equatable {
    /// What is read of the header; the rest of it is counted and forgotten.
    struct Header: Sendable, Equatable {
        var status = 0
        var contentType: String?
        var apiVersion: String?
        var server: String?
    }

    var header = Header()
    /// Empty when it was taken line by line.
    var body: [UInt8] = []

    var status: Int { header.status }
}
