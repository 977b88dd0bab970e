// SPDX-License-Identifier: Apache-2.0

/// Paths of layers, as the tree takes them.
extension LayeredTree {
    /// No directory is further from the root.
    static let depthLimit = 512
    /// As many links as the kernel follows on the way to one file.
    private static let linkLimit = 40
    /// The longest name that a file system takes.
    private static let nameLimit = 255

    /// What is wrong with an entry.
    struct Problem: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    /// The names that a path is made of, from the root; none is `.` or `..`.
    static func parts(_ path: [UInt8]) throws(Problem) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        for part in path.split(separator: UInt8(ascii: "/")) where part != dot {
            guard part != dotDot else { throw Problem("\(shown(path)) leads out with \"..\"") }
            guard part.count <= nameLimit else {
                throw Problem("\(shown(path)) has a name of more than \(nameLimit) bytes")
            }
            guard !part.contains(0) else { throw Problem("\(shown(path)) has a NUL in it") }
            parts.append(Array(part))
        }
        return parts
    }

    private static let dot = Array(".".utf8)[...]
    private static let dotDot = Array("..".utf8)[...]

    /// The directory at `parts`. What is missing on the way is made, for `layer`, or, without one,
    /// is an error.
    ///
    /// A link on the way is followed as a process would follow it whose root is the tree's: nothing
    /// leads out of it.
    mutating func directory(_ parts: [[UInt8]], making layer: Int?) throws(Problem) -> Node {
        var way = [root]
        var pending = Array(parts.reversed())
        var links = 0
        while let part = pending.popLast() {
            if part[...] == Self.dot { continue }
            if part[...] == Self.dotDot {
                if way.count > 1 { way.removeLast() }
                continue
            }
            let here = way[way.count - 1]
            guard let child = here.children[part] else {
                guard let layer else { throw Problem("\(shown(part)) is not there") }
                guard part.count <= Self.nameLimit else {
                    throw Problem("a link leads to a name of more than \(Self.nameLimit) bytes")
                }
                let made = try make(.directory, part, layer: layer)
                here.children[part] = made
                way.append(made)
                try Self.check(way)
                continue
            }
            switch child.content {
            case .directory:
                way.append(child)
                try Self.check(way)
            case .file: throw Problem("\(shown(part)) is a file, and something is below it")
            case .link(let target):
                links += 1
                guard links <= Self.linkLimit else {
                    throw Problem("\(shown(part)) leads through too many links")
                }
                if target.first == UInt8(ascii: "/") { way = [root] }
                pending += target.split(separator: UInt8(ascii: "/")).map { Array($0) }.reversed()
            }
        }
        return way[way.count - 1]
    }

    private static func check(_ way: [Node]) throws(Problem) {
        guard way.count <= depthLimit else {
            throw Problem("it has directories \(depthLimit) deep")
        }
    }
}
