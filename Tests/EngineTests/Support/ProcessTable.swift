// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The processes of the host at one moment, as /proc tells of them.
struct ProcessTable: Sendable {
    /// One process. Numbers come round; the start time tells two of one number apart.
    struct Entry: Sendable, Hashable {
        let pid: pid_t
        let parent: pid_t
        let startTicks: UInt64
        let state: Character
        let name: String

        var isDead: Bool { state == "Z" || state == "X" }

        /// The same process, whatever it does now and is called.
        static func == (left: Entry, right: Entry) -> Bool {
            left.pid == right.pid && left.startTicks == right.startTicks
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(pid)
            hasher.combine(startTicks)
        }
    }

    let entries: [pid_t: Entry]

    /// Looks now.
    init() {
        var entries: [pid_t: Entry] = [:]
        for name in Self.names("/proc") {
            guard let pid = pid_t(name), let entry = Self.entry(pid) else { continue }
            entries[pid] = entry
        }
        self.entries = entries
    }

    /// One process; nil when there is none.
    static func entry(_ pid: pid_t) -> Entry? {
        guard let text = read("/proc/\(pid)/stat"), let open = text.firstIndex(of: "("),
            let close = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[close...].dropFirst().split(separator: " ")
        guard fields.count > 19, let parent = pid_t(fields[1]), let start = UInt64(fields[19])
        else { return nil }
        return Entry(
            pid: pid,
            parent: parent,
            startTicks: start,
            state: fields[0].first ?? "?",
            name: String(text[text.index(after: open)..<close])
        )
    }

    /// All that descend from `ancestor`, itself left out.
    func descendants(of ancestor: pid_t) -> [Entry] {
        entries.values.filter { entry in
            var at = entry.parent
            // Bounded: a table read while processes come and go may hold a circle.
            for _ in 0..<64 where at > 1 {
                if at == ancestor { return true }
                at = entries[at]?.parent ?? 0
            }
            return false
        }
    }

    /// The real user of a process.
    static func user(_ pid: pid_t) -> UInt32? {
        field("Uid", of: pid)?.split(separator: " ").first.flatMap { UInt32($0) }
    }

    /// A line of /proc/PID/status, its words separated by single spaces.
    static func field(_ name: String, of pid: pid_t) -> String? {
        guard let text = read("/proc/\(pid)/status") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
            return line.dropFirst(name.count + 1).split(whereSeparator: \.isWhitespace)
                .joined(separator: " ")
        }
        return nil
    }

    /// A number of kilobytes there.
    static func kilobytes(_ name: String, of pid: pid_t) -> Int? {
        field(name, of: pid)?.split(separator: " ").first.flatMap { Int($0) }
    }

    /// The words of its command line.
    static func arguments(_ pid: pid_t) -> [String] {
        (read("/proc/\(pid)/cmdline") ?? "").split(separator: "\0").map(String.init)
    }

    /// The namespaces of a process: `net:[4026531840]`.
    static func namespaces(_ pid: pid_t) -> Set<String> {
        Set(
            names("/proc/\(pid)/ns").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\($0)")
            }
        )
    }

    /// The small file's text; nil when it cannot be read, as when the process is gone.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = Glibc.read(file, &piece, piece.count), count > 0 {
            all += piece[..<count]
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// The names in a directory; none when it is not there.
    static func names(_ path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }
}
