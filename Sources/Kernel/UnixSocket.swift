// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// Stream sockets by path.
package enum UnixSocket {
    /// What is at a path.
    package enum State: Sendable {
        /// Somebody answers.
        case listening
        /// The socket of a process that is gone.
        case stale
        case absent
    }

    /// The longest path the kernel takes, in bytes.
    package static let pathLimit = 107

    /// Connects. Throws `nameTooLong` for a path that does not fit.
    package static func connect(_ path: String) throws(Errno) -> Descriptor {
        guard path.utf8.count <= pathLimit else { throw .fileNameTooLong }
        let socket = Descriptor(
            owning: try kernel {
                Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            }
        )
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        _ = try kernel {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        return socket
    }

    /// Whether somebody listens there.
    package static func probe(_ path: String) -> State {
        do throws(Errno) {
            _ = try connect(path)
            return .listening
        } catch .noSuchFileOrDirectory {
            return .absent
        } catch {
            return .stale
        }
    }
}
