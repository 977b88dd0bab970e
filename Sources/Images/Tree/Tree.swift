// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// A directory and all that is below it, on one file system; links are never followed.
struct Tree {
    /// The directory.
    let root: FilePath

    /// Visits every entry below the root, a directory before what is in it, names in byte order.
    ///
    /// `visit` says whether to go on into the directory it was given; it may have removed it.
    func walk(_ visit: (TreeEntry) throws(ImageError) -> Bool) throws(ImageError) {
        try walk(below: TreeEntry(root, name: []), visit)
    }

    /// Removes the tree, its root too; what is gone already is no error.
    ///
    /// Stops at another file system: a mount below the root is not the tree's own.
    func remove() throws(ImageError) {
        do {
            let root = try TreeEntry(root, name: [])
            try remove(root, device: root.device)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return
        }
    }

    /// The sizes of the files in it, hard links counted once.
    func bytes() throws(ImageError) -> UInt64 {
        var seen: Set<UInt64> = []
        var bytes: UInt64 = 0
        try walk { (entry) throws(ImageError) in
            if entry.kind == .file, seen.insert(entry.inode).inserted { bytes += entry.bytes }
            return true
        }
        return bytes
    }

    // No deeper than a path is long, for the kernel refuses longer ones.
    private func walk(
        below directory: TreeEntry,
        _ visit: (TreeEntry) throws(ImageError) -> Bool
    ) throws(ImageError) {
        for entry in try directory.children() {
            let goOn = try visit(entry)
            if goOn, entry.kind == .directory { try walk(below: entry, visit) }
        }
    }

    private func remove(_ entry: TreeEntry, device: UInt64) throws(ImageError) {
        guard entry.kind == .directory else {
            try system("remove", entry.path) { unlink($0) }
            return
        }
        guard entry.device == device else {
            throw .system(doing: "remove", entry.path, .resourceBusy)
        }
        // A package may have directories that not even their owner may write to.
        try system("change the mode of", entry.path) { chmod($0, 0o700) }
        for child in try entry.children() {
            try remove(child, device: device)
        }
        try system("remove", entry.path) { rmdir($0) }
    }
}
