// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// What a container is given of the host: one directory, made for its attempt, that holds
/// `sandboxd-init` and the socket on which the daemon waits for it.
///
/// The container has it read-only, and `sandboxd-init` covers it before the job starts.
final class AttemptDirectory: Sendable {
    static let programName = "init"
    static let filterName = "seccomp.json"
    private static let socketName = "control"

    let path: String
    /// Which file the program is, to know it by when it runs.
    let program: FileIdentity
    private let listener: Descriptor

    /// Makes `path`, whose parent is there and private. Nothing is left of it when this throws.
    ///
    /// `isForAnyone`: a root without the right to read what is others' can start the program.
    init(
        path: String,
        program: [UInt8],
        filter: [UInt8]?,
        isForAnyone: Bool = false
    ) throws(Errno) {
        self.path = path
        _ = try kernel { mkdir(path, 0o700) }
        do throws(Errno) {
            let directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
            let mode: mode_t = isForAnyone ? 0o555 : 0o500
            try Self.write(program, path + "/" + Self.programName, mode: mode)
            if isForAnyone { _ = try kernel { fchmod(directory.number, 0o711) } }
            if let filter { try Self.write(filter, path + "/" + Self.filterName, mode: 0o400) }
            self.program = try FileIdentity(path + "/" + Self.programName)
            // A socket's path is short, and the state directory's need not be.
            let socket = "/proc/self/fd/\(directory.number)/" + Self.socketName
            listener = Descriptor(owning: try kernel { clx_channel_listen(socket) })
        } catch {
            Self.remove(path)
            throw error
        }
    }

    private static func write(
        _ bytes: [UInt8],
        _ path: String,
        mode: mode_t
    ) throws(Errno) {
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
        try file.writeAll(bytes)
        _ = try kernel { fchmod(file.number, mode) }
    }

    /// Its name in the daemon's directory of them.
    var name: String {
        String(path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...])
    }

    /// Where the socket is that the container connects to.
    var socket: Descriptor { listener }

    /// Removes the directory and what was made in it; gone already is fine.
    static func remove(_ path: String) {
        // What cannot be removed is seen by the next sweep, which says so.
        for name in [programName, filterName, socketName] { unlink(path + "/" + name) }
        rmdir(path)
    }

    /// The directories that are there, by name.
    static func inventory(of parent: String) -> Set<String> {
        guard let stream = opendir(parent) else { return [] }
        defer { closedir(stream) }
        var names: Set<String> = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.insert(name) }
        }
        return names
    }
}

/// A file, whatever it is called.
struct FileIdentity: Sendable, Hashable {
    private let device: UInt64
    private let inode: UInt64

    /// The file at `path`, links followed.
    init(_ path: String) throws(Errno) {
        var status = stat()
        _ = try kernel { stat(path, &status) }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
