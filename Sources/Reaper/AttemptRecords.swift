// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import Synchronization
package import SystemPackage
package import Tasks

/// The records of this daemon's attempts: `attempts/CELL` in the state directory, one for each whose
/// job may have started and that is not settled. The janitor knows them by their cgroups' names.
package final class AttemptRecords: Sendable {
    package let directory: String
    private let cells = Mutex<[LeaseKey: String]>([:])

    /// Opens the directory, and sets aside what an earlier daemon left in it, under names that no
    /// cell has.
    package init(directory: String) throws(Errno) {
        self.directory = directory
        do throws(Errno) {
            _ = try kernel { mkdir(directory, 0o700) }
        } catch .fileExists {
            // From an earlier daemon.
        }
        for name in try Self.names(directory) where !name.hasPrefix("lost-") {
            let from = directory + "/" + name
            guard let record = Self.read(from) else {
                unlink(from)
                continue
            }
            let to = directory + "/lost-\(record.key.task)-\(record.key.fence)"
            _ = try kernel { rename(from, to) }
        }
    }

    /// Writes an attempt down. Before its job starts.
    package func begin(_ key: LeaseKey, cell: String) throws(Errno) {
        let file = try Descriptor.open(directory + "/" + cell, O_WRONLY | O_CREAT | O_TRUNC)
        try file.writeAll(Array(AttemptRecord.line(key, milliseconds: Self.now()).utf8))
        cells.withLock { $0[key] = cell }
    }

    /// Forgets an attempt. After it is settled.
    package func end(_ key: LeaseKey) {
        guard let cell = cells.withLock({ $0.removeValue(forKey: key) }) else { return }
        unlink(directory + "/" + cell)
    }

    /// Names of records that belong to no attempt of this daemon.
    package func strays() -> [String] {
        let known = Set(cells.withLock { $0.values })
        // A directory that cannot be read has nothing that could be told.
        return ((try? Self.names(directory)) ?? []).filter { !known.contains($0) }
    }

    /// What earlier daemons left, with the files.
    package func lost() -> [(record: AttemptRecord, file: String)] {
        // A directory that cannot be read has nothing that could be settled.
        let names = (try? Self.names(directory)) ?? []
        return names.filter { $0.hasPrefix("lost-") }.compactMap { name in
            let file = directory + "/" + name
            return Self.read(file).map { ($0, file) }
        }
    }

    /// Forgets what an earlier daemon left.
    package func forget(_ file: String) {
        unlink(file)
    }

    private static func read(_ path: String) -> AttemptRecord? {
        var status = stat()
        // A record that a full disk cut short is none: its heartbeats say what it used.
        guard lstat(path, &status) == 0, let text = try? KernelFile.read(path) else { return nil }
        let changed = status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1_000_000
        return AttemptRecord(text, changed: changed)
    }

    private static func names(_ path: String) throws(Errno) -> [String] {
        guard let listing = opendir(path) else { throw Errno(rawValue: errno) }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func now() -> Int {
        var time = timespec()
        // Cannot fail: the clock exists and the pointer is ours.
        _ = clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}
