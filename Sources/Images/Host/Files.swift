// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The whole text file at `path`, which is at most a mebibyte; malformed UTF-8 is repaired.
func readText(_ path: FilePath, atMost limit: Int = 1 << 20) throws(ImageError) -> String {
    var text: [UInt8] = []
    try readBytes(path) { (bytes) throws(ImageError) in
        guard text.count + bytes.count <= limit else {
            throw .system(doing: "read", path, .fileTooLarge)
        }
        text.append(contentsOf: bytes)
    }
    return String(decoding: text, as: UTF8.self)
}

/// Hands on the bytes of the file at `path`, piece by piece; a link is not followed.
func readBytes(
    _ path: FilePath,
    _ body: (ArraySlice<UInt8>) throws(ImageError) -> Void
) throws(ImageError) {
    let file = try Descriptor(path, O_RDONLY | O_NOFOLLOW)
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
        let count = try system("read", path) { _ in read(file.fd, &buffer, buffer.count) }
        if count == 0 { return }
        try body(buffer[..<count])
    }
}

/// Makes a new file at `path` with `text` in it, on the disk when this returns.
///
/// Whatever else is at `path` is an error.
func writeText(_ text: String, to path: FilePath) throws(ImageError) {
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
    let file = try Descriptor(path, flags, mode: 0o644, doing: "create")
    try writeAll(Array(text.utf8)[...], to: file, path)
    // The umask took bits away.
    try system("change the mode of", path) { _ in fchmod(file.fd, 0o644) }
    try system("flush", path) { _ in fsync(file.fd) }
}

/// Writes all of it; `path` is for errors.
func writeAll(
    _ bytes: ArraySlice<UInt8>,
    to file: borrowing Descriptor,
    _ path: FilePath
) throws(ImageError) {
    let fd = file.fd
    var rest = bytes
    while !rest.isEmpty {
        let count = try system("write", path) { _ in
            rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
        }
        rest = rest.dropFirst(count)
    }
}

/// Makes the names in `directory` durable.
func flush(_ directory: FilePath) throws(ImageError) {
    let descriptor = try Descriptor(directory, O_RDONLY | O_DIRECTORY)
    try system("flush", directory) { _ in fsync(descriptor.fd) }
}

/// Makes a directory with exactly this mode; one that is there keeps its own.
func makeDirectory(_ path: FilePath, mode: mode_t) throws(ImageError) {
    do {
        try system("make the directory", path) { mkdir($0, 0o700) }
    } catch .system(_, _, .fileExists) {
        return
    }
    // The umask has no say.
    try system("change the mode of", path) { chmod($0, mode) }
}

/// The names in a directory, in no order, without `.` and `..`.
func names(in directory: FilePath) throws(ImageError) -> [FilePath.Component] {
    let stream = directory.withPlatformString { opendir($0) }
    guard let stream else {
        throw .system(doing: "list", directory, Errno(rawValue: errno))
    }
    // Reading is over; there is nothing left to fail.
    defer { _ = closedir(stream) }
    var names: [FilePath.Component] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else { break }
        let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
        let text = UnsafeRawPointer(entry).advanced(by: offset)
            .assumingMemoryBound(to: CChar.self)
        guard let name = FilePath.Component(platformString: text), name.kind == .regular else {
            continue
        }
        names.append(name)
    }
    guard errno == 0 else { throw .system(doing: "list", directory, Errno(rawValue: errno)) }
    return names
}
