// SPDX-License-Identifier: Apache-2.0

/// The tree that an image's layers come to, put together in memory before anything is written.
///
/// So no layer can lead another one's files astray: a link is a text here, followed inside of this
/// tree or not at all, and there is no path to anything else.
struct LayeredTree {
    /// What a name in a directory stands for.
    final class Node {
        enum Content {
            case directory
            case file(LayerFile)
            case link([UInt8])
        }

        let content: Content

        /// What is in a directory; nothing in anything else.
        var children: [[UInt8]: Node] = [:]

        /// The last layer that has written this name.
        var layer: Int

        init(_ content: Content, layer: Int) {
            self.content = content
            self.layer = layer
        }

        var isDirectory: Bool { if case .directory = content { true } else { false } }
    }

    /// The bytes of a file. One that two names share is one file with two hard links.
    final class LayerFile {
        let layer: Int
        let offset: Int
        let bytes: Int
        let isProgram: Bool

        init(layer: Int, offset: Int, bytes: Int, isProgram: Bool) {
            self.layer = layer
            self.offset = offset
            self.bytes = bytes
            self.isProgram = isProgram
        }
    }

    /// How large a tree may become, so that no archive fills our memory.
    struct Room {
        /// Names that may still be made, those that are replaced or hidden later too.
        var names = 1_000_000
        /// Bytes that they and the texts of links may still have.
        var textBytes = 256 << 20
    }

    let root = Node(.directory, layer: 0)
    private(set) var room: Room

    /// Devices and FIFOs that were left out.
    var specialCount = 0

    /// A tree with nothing in it.
    init(room: Room = Room()) {
        self.room = room
    }

    /// A new node for `name`, as far as there is room.
    mutating func make(
        _ content: Node.Content,
        _ name: [UInt8],
        layer: Int
    ) throws(Problem) -> Node {
        room.names -= 1
        room.textBytes -= name.count
        if case .link(let target) = content { room.textBytes -= target.count }
        guard room.names >= 0, room.textBytes >= 0 else {
            throw Problem("it has more files, or longer names, than an image may have")
        }
        return Node(content, layer: layer)
    }

    /// The regular file at a path from the root, no link followed; nil when there is none.
    func file(_ path: String) -> LayerFile? {
        var node = root
        for part in path.utf8.split(separator: UInt8(ascii: "/")) {
            guard let child = node.children[Array(part)] else { return nil }
            node = child
        }
        if case .file(let file) = node.content { return file }
        return nil
    }
}
