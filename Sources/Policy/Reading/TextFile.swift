// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The only I/O of this module: small text files, and the names in a directory.
enum TextFile {
    /// No profile comes near; whatever is larger is another kind of file.
    private static let largest = 1 << 20

    /// The whole file at `path`, which must be UTF-8.
    static func read(_ path: String) throws(ProfileError) -> String {
        let fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard fd >= 0 else { throw .unreadable(path: path, errno: errno) }
        defer { close(fd) }
        var bytes: [UInt8] = []
        while true {
            let chunk = try readSome(fd, path)
            if chunk.isEmpty { break }
            bytes += chunk
            guard bytes.count <= largest else {
                throw .unreadable(path: path, reason: "it is larger than 1 MiB")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .unreadable(path: path, reason: "it is not UTF-8")
        }
        return text
    }

    /// The names in the directory at `path` that end in `suffix`, sorted.
    static func names(in path: String, suffix: String) throws(ProfileError) -> [String] {
        guard let directory = opendir(path) else { throw .unreadable(path: path, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            // Editors leave hidden files behind.
            if name.hasSuffix(suffix), !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func readSome(_ fd: Int32, _ path: String) throws(ProfileError) -> [UInt8] {
        var failure: Int32 = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 14) { buffer, count in
            let result = Glibc.read(fd, buffer.baseAddress, buffer.count)
            if result < 0 { failure = errno }
            count = max(result, 0)
        }
        guard failure == 0 else { throw .unreadable(path: path, errno: failure) }
        return chunk
    }
}

extension ProfileError {
    fileprivate static func unreadable(path: String, errno code: Int32) -> ProfileError {
        .unreadable(path: path, reason: strerror(code).map { String(cString: $0) } ?? "\(code)")
    }
}
