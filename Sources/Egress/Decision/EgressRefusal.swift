// SPDX-License-Identifier: Apache-2.0
package import Policy

/// Why a connection is not made.
package enum EgressRefusal: Error, Hashable, Sendable {
    /// What there can be no answer to in time; its value is what cannot be done then.
    package enum Step: String, Sendable {
        case resolving = "resolved"
        case connecting = "connected to"
        case handshake = "spoken to over TLS"
    }

    /// What was sent names no host and port.
    case malformed(String)
    /// Its server could see the end of it elsewhere.
    case unframed(String)
    case noRule(host: HostName, port: UInt16)
    /// What the name stands for must not be reached.
    case address(IPAddress, of: HostName, String)
    case unresolved(HostName, String)
    case unconnected(HostName, String)
    /// It does not speak TLS as it must, or is not who it should be.
    case insecure(HostName, String)
    /// Nobody answered, for so long.
    case late(HostName, Step, seconds: Double)
    /// Its answer would show a header that the proxy puts in.
    case echo(Authority)
    /// The attempt's bytes are used up.
    case exhausted(limitBytes: UInt64)
    /// The attempt has as many connections as it may have.
    case crowded(limit: Int)

    /// Its kind, for programs.
    package var cause: String {
        switch self {
        case .malformed, .unframed: "malformed"
        case .noRule: "no_rule"
        case .address: "address"
        case .unresolved: "unresolved"
        case .unconnected: "unconnected"
        case .insecure: "insecure"
        case .late: "late"
        case .echo: "echo"
        case .exhausted: "exhausted"
        case .crowded: "crowded"
        }
    }

    /// Whether the policy said no, and not the network.
    package var isDenial: Bool {
        switch self {
        case .unresolved, .unconnected, .insecure, .late: false
        default: true
        }
    }
}

extension EgressRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let why): "the request names no host that could be reached: \(why)"
        case .unframed(let why): "the request cannot be sent on: \(why)"
        case .noRule(let host, let port):
            "\(host):\(port) is not among what this run may reach; '--allow \(host):\(port)', or "
                + "that line in the profile's network, would allow it"
        case .address(let address, let host, let what):
            "\(host) stands for \(address), which is \(what): a sandbox never reaches it"
        case .unresolved(let host, let why): "\(host) cannot be resolved: \(why)"
        case .unconnected(let host, let why): "\(host) cannot be connected to: \(why)"
        case .insecure(let host, let why): "\(host) cannot be spoken to over TLS: \(why)"
        case .late(let host, let step, let seconds):
            "\(host) cannot be \(step.rawValue): no answer within \(seconds) s"
        case .echo(let place):
            "TRACE is not sent to \(place): its answer would show the secret that is put in"
        case .exhausted(let limit): "the run has used up its \(limit) bytes of network"
        case .crowded(let limit): "the run has \(limit) connections already"
        }
    }
}
