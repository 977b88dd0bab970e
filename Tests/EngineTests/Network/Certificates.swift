// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An authority that only its test knows, and servers' certificates by it; see
/// `Tests/Certificates/make.sh`.
struct Certificates {
    /// A server's certificate and its key.
    struct Server {
        let path: String
        let key: String
    }

    private let directory: String

    /// The authority's own certificate.
    var authority: String { directory + "/ca.pem" }

    init() throws {
        directory = try Installation.shared.get().makeDirectory()
        let ending = try Program.run([Host.sources + "/../Certificates/make.sh", directory])
        try #require(ending.exitCode == 0, "\(ending.errorText)")
    }

    /// The certificate called `name`.
    func server(_ name: String) -> Server {
        Server(path: directory + "/\(name).pem", key: directory + "/key.pem")
    }
}
