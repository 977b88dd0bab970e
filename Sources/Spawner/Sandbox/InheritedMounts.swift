// SPDX-License-Identifier: Apache-2.0

/// What another engine mounted into the container that a sandbox is made in.
///
/// Such a mount is locked: init cannot remove it. Either a later mount hides it, or it must be
/// read-only and honour neither set-user-id programs nor devices.
enum InheritedMounts {
    /// Where the sandbox's own mounts are, which `MountCheck` looks at.
    private static let own = ["/proc", "/dev", "/workspace", "/sys"]
    private static let wanted = ["ro", "nosuid", "nodev"]

    /// The differences, each a sentence. `table` is a mountinfo file.
    static func differences(in table: [UInt8]) -> [String] {
        let mounts = table.split(separator: UInt8(ascii: "\n")).compactMap(MountLine.init)
        return mounts.indices.compactMap { index in
            let mount = mounts[index]
            let isHidden = mounts[(index + 1)...].contains { isBelow(mount.target, $0.target) }
            let isOwn = own.contains { isBelow(mount.target, Array($0.utf8)[...]) }
            guard !isHidden, !isOwn, !wanted.allSatisfy({ MountLine.has($0, in: mount.options) })
            else { return nil }
            return "\(mount.targetText) is the engine's and not mounted as "
                + wanted.joined(separator: ",")
        }
    }

    /// Whether a path is `directory`, or inside of it.
    private static func isBelow(_ path: ArraySlice<UInt8>, _ directory: ArraySlice<UInt8>) -> Bool {
        guard path.starts(with: directory) else { return false }
        let rest = path.dropFirst(directory.count)
        return rest.isEmpty || rest.first == UInt8(ascii: "/")
            || directory.elementsEqual("/".utf8)
    }
}
