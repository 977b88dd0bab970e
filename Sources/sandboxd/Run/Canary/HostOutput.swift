// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// How the standard output of a command on the host can be seen without a change to it.
///
/// It is seen when its bytes are this command's alone and a look changes nothing, neither for the
/// command nor for who reads. Otherwise it is not seen, and then not compared: a terminal or a
/// device must be there for the command itself; what is its standard error or input too has one
/// order for both; a file that is opened to append, or that the parent writes to as well, has
/// others' lines in it. Standard error goes straight to where it goes, for nobody compares it.
enum HostOutput {
    /// A pipe or a socket: another pipe is in between.
    case relayed
    /// A file of the command's own: it is read when the command has ended.
    case reread
    case unseen

    /// How descriptor 1 can be seen. To be asked before this process opens anything, for what it
    /// opens takes the place of a closed one.
    static var present: HostOutput {
        var output = stat()
        guard fstat(1, &output) == 0, !(isSame(output, as: 0) || isSame(output, as: 2)) else {
            return .unseen
        }
        return switch output.st_mode & S_IFMT {
        case S_IFIFO: .relayed
        case S_IFSOCK: isLocalStream ? .relayed : .unseen
        case S_IFREG: isAppended || isParents(output) ? .unseen : .reread
        default: .unseen
        }
    }

    private static func isSame(_ output: stat, as descriptor: Int32) -> Bool {
        var other = stat()
        return fstat(descriptor, &other) == 0 && other.st_dev == output.st_dev
            && other.st_ino == output.st_ino
    }

    /// Whether it is what programs give each other in place of a pipe. Of another socket a command
    /// may want more than to write.
    private static var isLocalStream: Bool {
        option(SO_DOMAIN) == AF_UNIX && option(SO_TYPE) == Int32(SOCK_STREAM.rawValue)
    }

    private static func option(_ name: Int32) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(1, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
    }

    private static var isAppended: Bool {
        fcntl(1, F_GETFL) & O_APPEND != 0
    }

    /// Whether the parent's own standard output is this file, so that the parent and its other
    /// children write there as well. A parent that cannot be looked at is taken for one.
    private static func isParents(_ output: stat) -> Bool {
        let descriptors = "/proc/\(getppid())/fd"
        guard access(descriptors, X_OK) == 0 else { return true }
        var parents = stat()
        guard stat(descriptors + "/1", &parents) == 0 else { return errno != ENOENT }
        return parents.st_dev == output.st_dev && parents.st_ino == output.st_ino
    }
}
