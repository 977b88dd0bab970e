// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// One file of a cgroup, held open: the kernel answers anew at every read from its start.
struct CgroupFile: Sendable {
    let path: String
    let descriptor: Descriptor

    /// Writes a value with one write.
    func write(_ text: String) throws(Errno) {
        let bytes = Array(text.utf8)
        _ = try kernel { pwrite(descriptor.number, bytes, bytes.count, 0) }
    }

    /// Reads it, at most a page.
    func read() throws(Errno) -> String {
        try Self.read(descriptor)
    }

    /// Reads what an open file of a cgroup says now.
    static func read(_ descriptor: Descriptor) throws(Errno) -> String {
        try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) {
            buffer throws(Errno) in
            let count = try kernel {
                pread(descriptor.number, buffer.baseAddress, buffer.count, 0)
            }
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// The number in it; `max` is nil.
    func number() throws(Errno) -> UInt64? {
        UInt64(try read().prefix { $0 != "\n" })
    }
}

/// One directory of a cgroup hierarchy, held open, so that each file costs one short look-up.
struct CgroupDirectory: Sendable {
    let path: String
    let descriptor: Descriptor

    init(opening path: String) throws(Errno) {
        self.path = path
        descriptor = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    }

    private init(path: String, descriptor: Descriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    /// Makes the directory below this one.
    func make(_ name: String) throws(Errno) -> CgroupDirectory {
        _ = try kernel { mkdirat(descriptor.number, name, 0o755) }
        do throws(Errno) {
            let child = try descriptor.open(name, O_RDONLY | O_DIRECTORY)
            return CgroupDirectory(path: path + "/" + name, descriptor: child)
        } catch {
            // The open failed with the real reason; an empty directory that stays is swept later.
            _ = unlinkat(descriptor.number, name, AT_REMOVEDIR)
            throw error
        }
    }

    /// Opens a file of it, to write and to read back.
    func file(_ name: String) throws(Errno) -> CgroupFile {
        CgroupFile(path: path + "/" + name, descriptor: try descriptor.open(name, O_RDWR))
    }

    /// The same; nil when the kernel has no such file.
    func fileIfPresent(_ name: String) throws(Errno) -> CgroupFile? {
        do throws(Errno) { return try file(name) } catch .noSuchFileOrDirectory { return nil }
    }

    /// Removes an empty child. One that is gone already is fine.
    func remove(_ name: String) throws(Errno) {
        do throws(Errno) {
            _ = try kernel { unlinkat(descriptor.number, name, AT_REMOVEDIR) }
        } catch .noSuchFileOrDirectory {
            return
        }
    }

    /// Writes a value with one write.
    func write(_ file: String, _ text: String) throws(Errno) {
        _ = try descriptor.open(file, O_WRONLY).write(Array(text.utf8)[...])
    }

    /// Reads a file of at most a page.
    func read(_ file: String) throws(Errno) -> String {
        let opened = try descriptor.open(file, O_RDONLY)
        return try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) {
            buffer throws(Errno) in
            let count = try opened.read(into: buffer)
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// The number in a file of one number; `max` is nil.
    func number(_ file: String) throws(Errno) -> UInt64? {
        UInt64(try read(file).prefix { $0 != "\n" })
    }

    /// As `number`, and nil also when this kernel has no such file.
    func numberIfPresent(_ file: String) throws(Errno) -> UInt64? {
        do throws(Errno) { return try number(file) } catch .noSuchFileOrDirectory { return nil }
    }

    /// The names of the directories below.
    func children() -> Set<String> {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: Set<String> = []
        while let entry = readdir(stream) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.insert(name) }
        }
        return names
    }
}
