// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel

/// Where a container engine listens: a Unix socket, and nothing else.
///
/// A TCP port would let whoever reaches it be root of the engine, and what we check of the host
/// (who listens, what the cgroups say) would be checked on the wrong machine.
package struct EngineAddress: Sendable, Hashable {
    /// The variable that Docker's own command reads.
    package static let variable = "DOCKER_HOST"

    private static let scheme = "unix://"

    /// The socket's absolute path.
    package let socketPath: String

    /// Reads `unix:///PATH`; `source` is where the text is from, for the error.
    package init(_ text: String, from source: String = variable) throws(DockerError) {
        func refusal(_ why: String) -> DockerError {
            DockerError(.address, .invalid("\(source) is '\(Visible.text(text))': \(why)"))
        }
        guard text.hasPrefix(Self.scheme) else {
            throw refusal(
                "only the Unix socket of an engine on this host is spoken to; "
                    + "write unix:///PATH/docker.sock"
            )
        }
        let path = String(text.dropFirst(Self.scheme.count))
        guard path.hasPrefix("/") else {
            throw refusal("the path must begin at the root; write unix:///PATH/docker.sock")
        }
        guard path.utf8.allSatisfy(\.isPrintable) else {
            throw refusal("the path has a control character in it")
        }
        guard path.utf8.count <= UnixSocket.pathLimit else {
            throw refusal(
                "the path is \(path.utf8.count) bytes long, and the kernel takes "
                    + "\(UnixSocket.pathLimit); give a shorter one, or a link to it"
            )
        }
        socketPath = path
    }

    /// What `$DOCKER_HOST` says; nil when it says nothing.
    package static func fromEnvironment() throws(DockerError) -> EngineAddress? {
        guard let value = getenv(variable), value.pointee != 0 else { return nil }
        return try EngineAddress(String(cString: value))
    }
}

extension EngineAddress: CustomStringConvertible {
    package var description: String { Self.scheme + socketPath }
}
