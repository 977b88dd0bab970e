// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension Rootfs {
    /// The versions of all Debian packages that are installed, by name.
    func packageVersions() throws(ImageError) -> [String: String] {
        let status = try readText(path.appending("var/lib/dpkg/status"), atMost: 1 << 26)
        var versions: [String: String] = [:]
        var name = ""
        var isInstalled = false
        for line in status.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { isInstalled = false }
            if let value = line.value(of: "Package") { name = value }
            if line == "Status: install ok installed" { isInstalled = true }
            if isInstalled, let value = line.value(of: "Version") { versions[name] = value }
        }
        return versions
    }
}

extension Recipe {
    /// The versions that the recipe wants to be told, of packages and of wheels.
    func versions(in rootfs: Rootfs) throws(ImageError) -> [String: String] {
        guard !shownVersions.isEmpty else { return [:] }
        let installed = try rootfs.packageVersions()
        var versions: [String: String] = [:]
        for name in shownVersions {
            let wheel = wheels?.packages.first { $0.name == name }?.version
            guard let version = wheel ?? installed[name] else {
                throw .unusable(rootfs.path, problem: "has no package \"\(name)\" to tell of")
            }
            versions[name] = version
        }
        return versions
    }
}

extension Substring {
    /// What stands behind `key: `.
    fileprivate func value(of key: String) -> String? {
        hasPrefix(key + ": ") ? String(dropFirst(key.utf8.count + 2)) : nil
    }
}
