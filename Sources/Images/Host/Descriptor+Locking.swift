// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// How a lock is shared with others.
enum LockKind {
    case shared
    case exclusive

    /// The word for it in flock(2).
    fileprivate var operation: Int32 { self == .shared ? LOCK_SH : LOCK_EX }
}

extension Descriptor {
    /// Locks the open file or directory, waiting for whoever has it; `path` is for errors.
    func lock(_ kind: LockKind, _ path: FilePath) throws(ImageError) {
        try system("lock", path) { _ in flock(fd, kind.operation) }
    }

    /// Locks the open file or directory unless somebody has it.
    ///
    /// - Returns: whether it is locked now.
    func lockAtOnce(_ kind: LockKind, _ path: FilePath) throws(ImageError) -> Bool {
        do {
            try system("lock", path) { _ in flock(fd, kind.operation | LOCK_NB) }
            return true
        } catch .system(_, _, .wouldBlock) {
            return false
        }
    }

    /// Lets go of the lock, for all copies of the descriptor: a child that was forked for another
    /// program just now has one, too, until it executes that.
    func unlock() {
        // It cannot fail: the descriptor is open.
        _ = flock(fd, LOCK_UN)
    }
}
