// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The files below a directory, before a command that leaves some there, and after.
package struct OutFiles: Sendable {
    private static let fileLimit = 1000
    private static let byteLimit = 256 << 20
    private static let depthLimit = 16

    /// What tells that a file was written.
    private struct Mark: Hashable {
        let inode: ino_t
        let size: off_t
        let seconds: Int
        let nanoseconds: Int
    }

    private let directory: String
    private let before: [String: Mark]

    /// Looks now.
    package init(_ directory: String) {
        self.directory = directory
        before = Self.marks(directory) ?? [:]
    }

    /// Digests, by path below the directory, of what is new or was written since. nil when there is
    /// more than can be compared.
    package func changes() -> [String: String]? {
        guard let now = Self.marks(directory) else { return nil }
        var left = Self.byteLimit
        var digests: [String: String] = [:]
        for (path, mark) in now where before[path] != mark {
            left -= Int(mark.size)
            guard left >= 0, let file = try? Descriptor.open(directory + "/" + path, O_RDONLY),
                let content = try? file.readAll(limit: Int(mark.size) + 1)
            else { return nil }
            digests[path] = SHA256.hex(SHA256.digest(of: content))
        }
        return digests
    }

    private static func marks(_ root: String) -> [String: Mark]? {
        var marks: [String: Mark] = [:]
        return collect(root, "", 0, &marks) ? marks : nil
    }

    /// Whether all of it fits.
    private static func collect(
        _ root: String,
        _ prefix: String,
        _ depth: Int,
        _ marks: inout [String: Mark]
    ) -> Bool {
        guard depth < depthLimit else { return false }
        // A directory that is not there has nothing in it.
        guard let stream = opendir(root + "/" + prefix) else { return true }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let path = prefix.isEmpty ? name : prefix + "/" + name
            var status = stat()
            guard lstat(root + "/" + path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                guard collect(root, path, depth + 1, &marks) else { return false }
            } else if status.st_mode & S_IFMT == S_IFREG {
                marks[path] = Mark(
                    inode: status.st_ino,
                    size: status.st_size,
                    seconds: status.st_mtim.tv_sec,
                    nanoseconds: status.st_mtim.tv_nsec
                )
                guard marks.count <= fileLimit else { return false }
            }
        }
        return true
    }
}
