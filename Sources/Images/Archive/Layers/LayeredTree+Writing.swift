// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The tree as files.
extension LayeredTree {
    /// No path in an image is longer, so that with the store's before it the kernel takes it.
    private static let pathLimit = 2048

    /// Writes everything below `root`, a directory with nothing in it, which nobody else writes to.
    ///
    /// All of it belongs to whoever writes it, with the modes of a tree that nobody writes to.
    /// Links come last: until then there is none to be followed.
    func write(to root: FilePath, layers: [ArchiveFile]) throws(ImageError) {
        var writer = Writer(layers: layers)
        try writer.write(self.root, at: root, length: 0)
        for link in writer.links {
            let target = link.target.map(CChar.init(bitPattern:)) + [0]
            try system("link", link.path) { symlink(target, $0) }
        }
    }

    private struct Writer {
        let layers: [ArchiveFile]
        var links: [(path: FilePath, target: [UInt8])] = []
        /// Where each file was written first.
        var written: [ObjectIdentifier: FilePath] = [:]

        init(layers: [ArchiveFile]) {
            self.layers = layers
        }

        /// Writes what is in a directory; as deep as the tree is, which has a limit.
        mutating func write(
            _ directory: Node,
            at path: FilePath,
            length: Int
        ) throws(ImageError) {
            for (name, node) in directory.children {
                let length = length + 1 + name.count
                guard length <= pathLimit, let component = component(name) else {
                    throw .unusable(path, problem: "\(shown(name)) makes a path too long")
                }
                let path = path.appending(component)
                switch node.content {
                case .directory:
                    try makeDirectory(path, mode: 0o755)
                    try write(node, at: path, length: length)
                case .file(let file): try write(file, to: path)
                case .link(let target): links.append((path, target))
                }
            }
        }

        private mutating func write(_ file: LayerFile, to path: FilePath) throws(ImageError) {
            if let first = written[ObjectIdentifier(file)] {
                try system("link", path) { path in first.withPlatformString { link($0, path) } }
                return
            }
            written[ObjectIdentifier(file)] = path
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
            let descriptor = try Descriptor(path, flags, mode: 0o600, doing: "create")
            try layers[file.layer].read(at: file.offset, count: file.bytes) {
                (piece) throws(ImageError) in
                try writeAll(piece[...], to: descriptor, path)
            }
            let mode: mode_t = file.isProgram ? 0o755 : 0o644
            try system("change the mode of", path) { _ in fchmod(descriptor.fd, mode) }
        }

        private func component(_ name: [UInt8]) -> FilePath.Component? {
            let component = FilePath.Component(
                platformString: name.map(CChar.init(bitPattern:)) + [0]
            )
            return component?.kind == .regular ? component : nil
        }
    }
}
