// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// A root file system that is being made ready for sandboxes.
struct Rootfs {
    /// Where it is.
    let path: FilePath

    /// How many packages dpkg says are installed.
    func packageCount() throws(ImageError) -> Int {
        let status = try readText(path.appending("var/lib/dpkg/status"), atMost: 1 << 26)
        return status.split(separator: "\n").count { $0 == "Status: install ok installed" }
    }

    /// Removes what `patterns` match, links not followed; `*` matches slashes too.
    func sweep(_ patterns: [String]) throws(ImageError) {
        try Tree(root: path).walk { (entry) throws(ImageError) in
            let name = entry.name.map(CChar.init(bitPattern:)) + [0]
            guard patterns.contains(where: { fnmatch($0, name, 0) == 0 }) else { return true }
            try Tree(root: entry.path).remove()
            return false
        }
    }

    /// Gives everything the modes of a tree that nobody writes to, and removes special files.
    ///
    /// A directory or program gets 0755, any other file 0644. So a job, to which nothing in the
    /// image belongs, can read all of it, and no setuid, setgid or sticky bit is left. File
    /// capabilities are not unpacked to begin with.
    func settleModes() throws(ImageError) {
        try system("change the mode of", path) { chmod($0, 0o755) }
        try Tree(root: path).walk { (entry) throws(ImageError) in
            switch entry.kind {
            case .directory:
                try settle(entry, 0o755)
            case .file:
                try settle(entry, entry.mode & 0o111 == 0 ? 0o644 : 0o755)
            case .link:
                break
            case .special:
                try system("remove", entry.path) { unlink($0) }
            }
            return true
        }
    }

    private func settle(_ entry: TreeEntry, _ mode: mode_t) throws(ImageError) {
        guard entry.mode != mode else { return }
        try system("change the mode of", entry.path) { chmod($0, mode) }
    }
}
