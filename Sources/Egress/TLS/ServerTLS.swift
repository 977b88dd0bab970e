// SPDX-License-Identifier: Apache-2.0
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOSSL
internal import Policy

/// TLS to servers in a job's stead: at least 1.2, and only with who proves to be the host that was
/// asked for, by a certificate of an authority that the machine trusts, or of one of the operator's.
package final class ServerTLS: Sendable {
    /// Why there is none.
    package enum Refusal: Error, Hashable, Sendable {
        /// The operator's file has no certificates that could be read.
        case noCertificates(path: String)
        /// The machine has no list of authorities, or it cannot be read.
        case noAuthorities(String)
    }

    private let operators: [NIOSSLCertificate]
    private let context = NIOLockedValueBox<NIOSSLContext?>(nil)

    /// `path` is a file of the operator's with certificates of authorities, in PEM; they are trusted
    /// beside the machine's.
    package init(authorities path: String? = nil) throws(Refusal) {
        guard let path else {
            operators = []
            return
        }
        do { operators = try NIOSSLCertificate.fromPEMFile(path) } catch {
            throw .noCertificates(path: path)
        }
        guard !operators.isEmpty else { throw .noCertificates(path: path) }
    }

    /// Reads the machine's authorities, the first time: some hundred certificates, once for all runs.
    package func load() throws(Refusal) { _ = try loaded() }

    /// What speaks TLS on a connection to `host`, and sends its name along when it has one (RFC 6066,
    /// section 3).
    func handler(for host: HostName) throws -> NIOSSLClientHandler {
        let name: String? = if case .name(let name) = host { name } else { nil }
        return try NIOSSLClientHandler(context: try loaded(), serverHostname: name)
    }

    private func loaded() throws(Refusal) -> NIOSSLContext {
        do {
            return try context.withLockedValue { context in
                if let context { return context }
                var configuration = TLSConfiguration.makeClientConfiguration()
                configuration.minimumTLSVersion = .tlsv12
                configuration.certificateVerification = .fullVerification
                // HTTP says where an answer ends: nobody waits for TLS to say so, too.
                configuration.shutdownTimeout = .milliseconds(100)
                configuration.applicationProtocols = ["http/1.1"]
                configuration.additionalTrustRoots = [.certificates(operators)]
                let made = try NIOSSLContext(configuration: configuration)
                context = made
                return made
            }
        } catch {
            throw .noAuthorities("\(error)")
        }
    }
}

extension ServerTLS.Refusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noCertificates(let path):
            "'\(path)' has no certificates: give a file that this user can read, in PEM"
        case .noAuthorities(let why):
            "the machine's certificate authorities cannot be read; install ca-certificates: \(why)"
        }
    }
}
