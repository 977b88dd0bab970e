// SPDX-License-Identifier: Apache-2.0

/// A layer over those below it, as the OCI's image specification has it (layer.md).
extension LayeredTree {
    /// A name that begins like this says what of the lower layers is gone.
    private static let whiteout = Array(".wh.".utf8)
    /// All that the lower layers have in the directory is gone.
    private static let opaque = Array(".wh..wh..opq".utf8)
    /// What AUFS has left behind besides.
    private static let ofAUFS = Array(".wh..wh.".utf8)
    /// The longest text of a link that the kernel takes.
    private static let linkLimit = 4095

    /// Puts one entry of the layer with this number where it belongs.
    mutating func apply(_ entry: TarEntry, layer: Int) throws(Problem) {
        let parts = try Self.parts(entry.path)
        guard let name = parts.last else {
            guard entry.kind == .directory else { throw Problem("the root is no directory") }
            return
        }
        guard !parts.dropLast().contains(where: { $0.starts(with: Self.whiteout) }) else {
            throw Problem("\(shown(entry.path)) is below a name that begins with .wh.")
        }
        let parent = try directory(Array(parts.dropLast()), making: layer)
        if name.starts(with: Self.whiteout) {
            try hide(name, in: parent, layer: layer)
        } else {
            parent.children[name] = try node(entry, name, over: parent.children[name], layer)
        }
    }

    /// What an entry makes of the name that it is for; nil is nothing.
    private mutating func node(
        _ entry: TarEntry,
        _ name: [UInt8],
        over before: Node?,
        _ layer: Int
    ) throws(Problem) -> Node? {
        switch entry.kind {
        case .directory:
            guard let before, before.isDirectory else {
                return try make(.directory, name, layer: layer)
            }
            before.layer = layer
            return before
        case .file(let offset, let bytes, let isProgram):
            let file = LayerFile(layer: layer, offset: offset, bytes: bytes, isProgram: isProgram)
            return try make(.file(file), name, layer: layer)
        case .symbolicLink(let target):
            guard (1...Self.linkLimit).contains(target.count), !target.contains(0) else {
                throw Problem("\(shown(entry.path)) is a link to nothing")
            }
            return try make(.link(target), name, layer: layer)
        case .hardLink(let target):
            return try make(try linked(target, entry.path), name, layer: layer)
        case .special:
            specialCount += 1
            return nil
        }
    }

    /// What a hard link shares with `target`.
    private mutating func linked(
        _ target: [UInt8],
        _ path: [UInt8]
    ) throws(Problem) -> Node.Content {
        let words = "\(shown(path)) is a hard link to \(shown(target))"
        let parts = try Self.parts(target)
        let parent: Node
        do {
            parent = try directory(Array(parts.dropLast()), making: nil)
        } catch {
            throw Problem("\(words): \(error.text)")
        }
        guard let name = parts.last, let node = parent.children[name], !node.isDirectory else {
            throw Problem("\(words), which is no file that is there")
        }
        return node.content
    }

    // MARK: Whiteouts

    private func hide(_ name: [UInt8], in parent: Node, layer: Int) throws(Problem) {
        if name == Self.opaque {
            for child in parent.children.keys { hideBelow(child, in: parent, layer: layer) }
            return
        }
        if name.starts(with: Self.ofAUFS) { return }
        let hidden = Array(name.dropFirst(Self.whiteout.count))
        guard !hidden.isEmpty, hidden != Array(".".utf8), hidden != Array("..".utf8) else {
            throw Problem("\(shown(name)) hides nothing that has a name")
        }
        hideBelow(hidden, in: parent, layer: layer)
    }

    /// Removes what lower layers have under a name; what this layer has written stays, in whatever
    /// order it came.
    private func hideBelow(_ name: [UInt8], in parent: Node, layer: Int) {
        guard let node = parent.children[name] else { return }
        if node.isDirectory {
            for child in node.children.keys { hideBelow(child, in: node, layer: layer) }
        }
        if node.layer < layer, node.children.isEmpty { parent.children[name] = nil }
    }
}
