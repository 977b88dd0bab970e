// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// A user namespace's map of ids, as /proc/PID/uid_map shows it to this process
/// (user_namespaces(7)).
struct IDMap: Sendable, Hashable {
    private struct Line: Sendable, Hashable {
        var inside: UInt32
        var outside: UInt32
        var count: UInt32
    }

    private let lines: [Line]

    /// Reads the map in `file`.
    init(file: String) throws(Errno) {
        self.init(text: try KernelFile.read(file))
    }

    /// Reads a map's text.
    init(text: String) {
        lines = text.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            guard numbers.count == 3 else { return nil }
            return Line(inside: numbers[0], outside: numbers[1], count: numbers[2])
        }
    }

    /// What an id of the namespace is to this process; nil when it is not mapped.
    func outside(_ id: UInt32) -> UInt32? {
        for line in lines where id >= line.inside && id - line.inside < line.count {
            return line.outside + (id - line.inside)
        }
        return nil
    }
}
