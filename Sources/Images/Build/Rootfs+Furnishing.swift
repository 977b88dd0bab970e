// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

extension Rootfs {
    /// Puts in place what every sandbox counts on, whatever the packages made of it.
    ///
    /// Mount points are empty directories. Temporary files go to the workspace, the only place
    /// that a job can write to. Nothing tells one machine from another.
    func furnish(for user: ImageUser) throws(ImageError) {
        // Everything below goes through these; a link here would lead out of the image.
        for name in ["etc", "var"] {
            let path = path.appending(name)
            guard try TreeEntry(path, name: []).kind == .directory else {
                throw .unusable(path, problem: "is no directory")
            }
        }
        for name in ["proc", "dev", "sys", "run", "workspace"] { try directory(name) }
        try link("tmp", to: "/workspace/.tmp")
        try link("var/tmp", to: "/workspace/.tmp")
        try link("etc/mtab", to: "/proc/self/mounts")
        for name in ["etc/machine-id", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"] {
            try Tree(root: path.appending(name)).remove()
        }
        for name in ["etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"] {
            try Tree(root: path.appending(name)).remove()
        }
        try file("etc/hostname", "sandbox\n")
        try file("etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n")
        try file("etc/resolv.conf", "")
        try file("etc/passwd", passwd(user))
        try file("etc/group", group(user))
    }

    private func passwd(_ user: ImageUser) -> String {
        """
        root:x:0:0:root:/root:/usr/sbin/nologin
        \(user.name):x:\(user.uid):\(user.gid):\(user.name):\(user.home):\(user.shell)
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin

        """
    }

    private func group(_ user: ImageUser) -> String {
        """
        root:x:0:
        \(user.name):x:\(user.gid):
        nogroup:x:65534:

        """
    }

    private func directory(_ name: String) throws(ImageError) {
        try Tree(root: path.appending(name)).remove()
        try makeDirectory(path.appending(name), mode: 0o755)
    }

    private func link(_ name: String, to target: String) throws(ImageError) {
        try Tree(root: path.appending(name)).remove()
        try system("link", path.appending(name)) { symlink(target, $0) }
    }

    private func file(_ name: String, _ text: String) throws(ImageError) {
        try Tree(root: path.appending(name)).remove()
        try writeText(text, to: path.appending(name))
    }
}
