// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// One name of a tree: what the kernel knows of it, links not followed.
struct TreeEntry {
    /// What kind of thing it is.
    enum Kind {
        case directory
        case file
        case link
        /// A device, a FIFO or a socket.
        case special
    }

    /// Where it is.
    let path: FilePath

    /// Where it is in its tree, from `/`, as bytes: a String would repair what is no UTF-8.
    let name: [UInt8]

    let kind: Kind
    private let status: stat

    /// Looks at `path`.
    init(_ path: FilePath, name: [UInt8]) throws(ImageError) {
        var status = stat()
        try system("look at", path) { lstat($0, &status) }
        self.path = path
        self.name = name
        self.status = status
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFREG: .file
            case S_IFLNK: .link
            default: .special
            }
    }

    /// The permission bits, setuid and its like included.
    var mode: mode_t { status.st_mode & 0o7777 }

    /// The size of a file in bytes.
    var bytes: UInt64 { UInt64(status.st_size) }

    /// Which file it is, however many names it has.
    var inode: UInt64 { UInt64(status.st_ino) }

    /// Which file system it is on.
    var device: UInt64 { UInt64(status.st_dev) }

    /// Where a link points.
    func target() throws(ImageError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try system("read the link", path) { readlink($0, &buffer, buffer.count) }
        return buffer[..<count].map(UInt8.init(bitPattern:))
    }

    /// What is in a directory, in the order of the names' bytes.
    func children() throws(ImageError) -> [TreeEntry] {
        var children: [TreeEntry] = []
        for child in try names(in: path) {
            let bytes = child.withPlatformString {
                UnsafeBufferPointer(start: $0, count: strlen($0)).map(UInt8.init(bitPattern:))
            }
            children.append(try TreeEntry(path.appending(child), name: name + [0x2f] + bytes))
        }
        return children.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }
}
