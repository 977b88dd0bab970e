// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// A file, or a directory of files, that lies beside the recipe and goes into the image.
struct RecipeFile: Hashable, Sendable {
    /// Its name beside the recipe.
    let from: String

    /// Where it goes: an absolute path in the image.
    let to: String
}

/// One file with what is in it, ready to be written.
struct RecipeContent: Hashable, Sendable {
    /// Where it goes: an absolute path in the image.
    let path: String

    /// Whether it is a program.
    let isExecutable: Bool

    let bytes: [UInt8]
}

extension RecipeFile {
    /// The most that all files of a recipe may hold: it is for sources, not for archives.
    private static let limit = 1 << 22

    /// Reads what lies at `from` in `directory`, in the order of names.
    ///
    /// Links and special files are refused; Python's caches are left out.
    func contents(in directory: FilePath) throws(ImageError) -> [RecipeContent] {
        let root = try TreeEntry(directory.appending(from), name: [])
        guard root.kind == .directory else { return [try content(of: root, at: to)] }
        var contents: [RecipeContent] = []
        try Tree(root: root.path).walk { (entry) throws(ImageError) in
            guard entry.path.lastComponent?.string != "__pycache__" else { return false }
            guard entry.kind != .directory else { return true }
            let below = String(decoding: entry.name, as: UTF8.self)
            contents.append(try content(of: entry, at: to + below))
            return true
        }
        return contents
    }

    private func content(of entry: TreeEntry, at path: String) throws(ImageError) -> RecipeContent {
        guard entry.kind == .file, entry.bytes <= Self.limit else {
            throw .unusable(entry.path, problem: "is no file of at most 4 MiB")
        }
        var bytes: [UInt8] = []
        try readBytes(entry.path) { (piece) throws(ImageError) in bytes += piece }
        return RecipeContent(path: path, isExecutable: entry.mode & 0o100 != 0, bytes: bytes)
    }
}

extension RecipeContent {
    /// Writes it below `root`, and makes the directories to it.
    func write(below root: FilePath) throws(ImageError) {
        let file = root.pushing(FilePath(String(path.dropFirst())))
        try makeDirectories(file.removingLastComponent(), below: root)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        let descriptor = try Descriptor(file, flags, mode: 0o755, doing: "create")
        try writeAll(bytes[...], to: descriptor, file)
        let mode: mode_t = isExecutable ? 0o755 : 0o644
        try system("change the mode of", file) { _ in fchmod(descriptor.fd, mode) }
    }
}

/// Makes `directory`, which is below `root`, and those above it.
func makeDirectories(_ directory: FilePath, below root: FilePath) throws(ImageError) {
    var path = root
    let rest = directory.components.dropFirst(root.components.count)
    for component in rest {
        path.append(component)
        try makeDirectory(path, mode: 0o755)
    }
}

extension Entry {
    /// A list of `{from: NAME, to: PATH}`.
    func files() throws(DocumentError) -> [RecipeFile] {
        var files: [RecipeFile] = []
        for entry in try list() {
            let section = try entry.section(["from", "to"])
            let from = try section.required("from")
            let name = try from.word("name of a file beside the recipe") {
                $0.isLower || $0.isUpper || $0.isDecimal || "._-".utf8.contains($0)
            }
            guard name.utf8.first != 0x2e else {
                throw from.refusal("\"\(name)\" is no name of a file beside the recipe")
            }
            let file = RecipeFile(from: name, to: try section.required("to").absolutePath())
            guard !files.contains(where: { $0.to == file.to }) else {
                throw entry.refusal("\(file.to) is there twice")
            }
            files.append(file)
        }
        return files
    }
}
