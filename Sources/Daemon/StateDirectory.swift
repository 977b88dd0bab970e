// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The directory that makes a daemon one of its kind: whoever holds its lock is that daemon.
enum StateDirectory {
    /// Makes the directory when it is missing and locks it for as long as the result is held. A
    /// killed daemon's lock is free: the kernel holds it, not a file.
    static func take(_ path: String) throws(DaemonError) -> Descriptor {
        do throws(Errno) {
            try makeDirectories(path)
            let lock = try Descriptor.open(path + "/lock", O_RDWR | O_CREAT)
            _ = try kernel { flock(lock.number, LOCK_EX | LOCK_NB) }
            return lock
        } catch .wouldBlock {
            throw .alreadyRunning(state: path)
        } catch {
            throw .host(doing: "taking the state directory \(path)", error)
        }
    }

    /// Removes the socket of a daemon that is gone; refuses when somebody listens.
    static func freeSocket(_ path: String) throws(DaemonError) {
        switch UnixSocket.probe(path) {
        case .listening: throw .socketInUse(path)
        case .stale: unlink(path)
        case .absent: break
        }
    }

    /// A name for this daemon's cgroups: the same for the same directory.
    static func nodeName(_ path: String) -> String {
        // FNV-1a: a name, not a secret.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in path.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return "node-" + String(hash, radix: 16)
    }

    private static func makeDirectories(_ path: String) throws(Errno) {
        var at = path.startIndex
        while at != path.endIndex {
            at = path[path.index(after: at)...].firstIndex(of: "/") ?? path.endIndex
            do throws(Errno) {
                _ = try kernel { mkdir(String(path[..<at]), 0o700) }
            } catch .fileExists {
                continue
            }
        }
    }
}
