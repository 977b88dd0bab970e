// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The steps of the build of one image.
struct BuildSite {
    let recipe: Recipe
    let mirror: String?
    let site: StoreSite

    /// Builds the image and makes it visible; `lock` is the store's build lock.
    func build(_ tools: Tools, holding lock: borrowing Descriptor) throws(ImageError) {
        try site.make()
        try fetch(tools, holding: lock)
        let facts = try finish()
        _ = try site.publish(facts, as: recipe.name) { before, digest in
            before?.moved(to: digest, recipe: recipe.digest)
                ?? NameRecord(digest: digest, recipe: recipe.digest)
        }
    }

    private func fetch(
        _ tools: Tools,
        holding lock: borrowing Descriptor
    ) throws(ImageError) {
        let count = recipe.packages.count
        let packages = count == 1 ? "1 package" : "\(count) packages"
        site.progress("making a root with \(packages) of \(recipe.suite), and all they need…")
        let scratch = site.path.appending("scratch")
        try makeDirectory(scratch, mode: 0o700)
        let additions = Additions(recipe: recipe, path: site.path.appending("additions"))
        if !additions.isEmpty {
            try additions.gather(tools, scratch: scratch, holding: lock, progress: site.progress)
        }
        let archive = site.path.appending("root.tar")
        let tool = try tools.mmdebstrap(scratch: scratch)
        try Bootstrap(
            recipe: recipe,
            additions: additions.isEmpty ? nil : additions.path,
            mirror: mirror,
            tool: tool
        )
        .pack(into: archive, holding: lock, progress: site.progress)

        site.progress("unpacking…")
        // Everything is to belong to whoever builds; modes are settled afterwards.
        let arguments = [
            "--extract", "--file=\(archive)", "--directory=\(site.rootfs.path)",
            "--no-same-owner", "--exclude=./dev/*", "--warning=no-timestamp",
        ]
        try tools.tar().run(arguments, holding: lock) { _ in }
        try system("remove", archive) { unlink($0) }
    }

    private func finish() throws(ImageError) -> ImageFacts {
        site.progress("removing what no job needs…")
        let versions = try recipe.versions(in: site.rootfs)
        let packageCount = try site.rootfs.packageCount()
        try site.rootfs.sweep(recipe.remove)
        try site.rootfs.furnish(for: recipe.user)
        try site.rootfs.settleModes()
        return ImageFacts(
            environment: recipe.environment,
            user: recipe.user,
            bytes: try Tree(root: site.rootfs.path).bytes(),
            packageCount: packageCount,
            createdUnixSeconds: Int64(time(nil)),
            versions: versions
        )
    }
}
