// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// From layers to a root file system.
extension ImageImporter {
    /// Puts the layers on top of each other.
    func stack(_ layers: [ArchiveFile]) throws(ImageError) -> LayeredTree {
        var tree = LayeredTree(room: limits.room)
        for (number, layer) in layers.enumerated() {
            var reader = TarReader(layer, entryLimit: limits.entries)
            while let entry = try reader.next() {
                do {
                    try tree.apply(entry, layer: number)
                } catch {
                    throw layer.refusal(error.text)
                }
            }
        }
        return tree
    }

    func unpack(
        _ tree: inout LayeredTree,
        _ layers: [ArchiveFile],
        to rootfs: Rootfs,
        _ source: ImageSource
    ) throws(ImageError) -> ImageFacts {
        tree.makeMissing(["etc", "var"])
        let user = ImageUser.ofImports(shell: tree.has("bin/bash") ? "/bin/bash" : "/bin/sh")
        try tree.write(to: rootfs.path, layers: layers)
        // The way to it is directories and no links, or there is none.
        let isDebian = tree.file("var/lib/dpkg/status") != nil
        let packageCount = isDebian ? try rootfs.packageCount() : 0
        try rootfs.furnish(for: user)
        try rootfs.settleModes()
        return ImageFacts(
            environment: [:],
            user: user,
            bytes: try Tree(root: rootfs.path).bytes(),
            packageCount: packageCount,
            createdUnixSeconds: Int64(time(nil)),
            source: source
        )
    }
}

extension ImageUser {
    /// Who jobs are in an image that does not say it in our words.
    fileprivate static func ofImports(shell: String) -> ImageUser {
        ImageUser(name: "job", uid: 1000, gid: 1000, home: "/workspace", shell: shell)
    }
}

extension LayeredTree {
    /// Makes directories of the root that are missing.
    fileprivate mutating func makeMissing(_ names: [String]) {
        for name in names where root.children[Array(name.utf8)] == nil {
            root.children[Array(name.utf8)] = Node(.directory, layer: 0)
        }
    }

    /// Whether a process would find something at a path from the root.
    fileprivate mutating func has(_ path: String) -> Bool {
        guard var parts = try? Self.parts(Array(path.utf8)), let name = parts.popLast(),
            // Where the way ends, nothing is.
            let directory = try? directory(parts, making: nil)
        else { return false }
        return directory.children[name] != nil
    }
}
