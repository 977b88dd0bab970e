// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import Spawner
internal import SystemPackage

/// The directory that makes a daemon one of its kind: whoever holds its lock is that daemon.
enum StateDirectory {
    /// How often, and how long in between, a killed daemon's janitor is waited for.
    private static let janitorLooks = 1000
    private static let janitorPauseMicroseconds: UInt32 = 10_000

    /// Makes the directory when it is missing and locks it for as long as the result is held. A
    /// killed daemon's lock is held by its janitor until nothing of that daemon is left; that is
    /// waited for.
    static func take(_ path: String) throws(DaemonError) -> Descriptor {
        do throws(Errno) {
            try makeDirectories(path)
            let lock = try Descriptor.open(path + "/lock", O_RDWR | O_CREAT)
            for _ in 0..<janitorLooks {
                if try isTaken(lock) { return lock }
                guard isOwnerDead(path) else { break }
                usleep(janitorPauseMicroseconds)
            }
        } catch {
            throw .host(doing: "taking the state directory \(path)", error)
        }
        throw .alreadyRunning(state: path)
    }

    /// Takes the lock if it is free, and writes down whose it is.
    private static func isTaken(_ lock: Descriptor) throws(Errno) -> Bool {
        do throws(Errno) {
            _ = try kernel { flock(lock.number, LOCK_EX | LOCK_NB) }
        } catch .wouldBlock {
            return false
        }
        _ = try kernel { ftruncate(lock.number, 0) }
        _ = try lock.write(Array(String(getpid()).utf8)[...])
        return true
    }

    /// Whether the daemon that took the lock is gone, so that only its janitor can hold it.
    private static func isOwnerDead(_ path: String) -> Bool {
        // An owner that is just writing his number down is alive.
        guard let text = try? KernelFile.read(path + "/lock"), let owner = pid_t(text) else {
            return false
        }
        return kill(owner, 0) != 0 && errno == ESRCH
    }

    /// Removes the socket of a daemon that is gone; refuses when somebody listens.
    static func freeSocket(_ path: String) throws(DaemonError) {
        switch UnixSocket.probe(path) {
        case .listening: throw .socketInUse(path)
        case .stale: unlink(path)
        case .absent: break
        }
    }

    /// This node's name among those that share a database: random, made once, the same at every
    /// start. The directory is taken.
    static func nodeID(_ path: String) throws(DaemonError) -> String {
        let file = path + "/node"
        do throws(Errno) {
            if let known = try? KernelFile.read(file), known.utf8.count == 32 { return known }
            var generator = SystemRandomNumberGenerator()
            let made = AttemptID.make(milliseconds: generator.next()).description
            let descriptor = try Descriptor.open(file, O_WRONLY | O_CREAT | O_TRUNC)
            try descriptor.writeAll(Array(made.utf8))
            return made
        } catch {
            throw .host(doing: "writing \(file)", error)
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
