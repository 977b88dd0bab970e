// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL

@testable import Egress

/// An authority that only its tests know, and servers' certificates by it; see
/// `Tests/Certificates/make.sh`.
struct TestCertificates {
    /// Why there are none.
    struct NotMade: Error {
        let status: Int32
    }

    private let directory: String

    /// Makes them, and removes them at the end.
    static func with<Value>(_ body: (TestCertificates) async throws -> Value) async throws -> Value
    {
        let files = FileManager.default
        let place = files.temporaryDirectory.appending(path: "sandboxd-\(UUID().uuidString)")
        try files.createDirectory(at: place, withIntermediateDirectories: false)
        // What stays in a temporary directory harms nobody.
        defer { try? files.removeItem(at: place) }
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Certificates/make.sh")
        let process = try Process.run(script, arguments: [place.path])
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw NotMade(status: process.terminationStatus)
        }
        return try await body(TestCertificates(directory: place.path))
    }

    /// Trust in that authority.
    func trust() throws -> ServerTLS { try ServerTLS(authorities: directory + "/ca.pem") }

    /// A server with the certificate `name`; `asked` gets the names that it was asked for.
    func server(
        _ name: String,
        asked: NIOLockedValueBox<[String]> = NIOLockedValueBox([]),
        atMost version: TLSVersion? = nil
    ) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(directory + "/\(name).pem")
                .map { .certificate($0) },
            privateKey: .privateKey(
                try NIOSSLPrivateKey(file: directory + "/key.pem", format: .pem)
            )
        )
        configuration.minimumTLSVersion = .tlsv1
        configuration.maximumTLSVersion = version
        configuration.sslContextCallback = { values, promise in
            asked.withLockedValue { $0.append(values.serverHostname ?? "") }
            promise.succeed(.noChanges)
        }
        return try NIOSSLContext(configuration: configuration)
    }
}
