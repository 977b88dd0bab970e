// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The hidden directory of a store in which one image is built, and the steps of the build.
struct BuildSite {
    private let recipe: Recipe
    private let store: ImageStore
    private let mirror: String?
    private let path: FilePath
    private let progress: (String) -> Void

    /// A site that is not there yet.
    init(
        recipe: Recipe,
        store: ImageStore,
        mirror: String?,
        progress: @escaping (String) -> Void
    ) {
        self.recipe = recipe
        self.store = store
        self.mirror = mirror
        self.progress = progress
        path = store.path.appending(".building-\(getpid())")
    }

    /// Builds the image and makes it visible; `lock` is the store's build lock.
    func build(_ tools: Tools, holding lock: borrowing Descriptor) throws(ImageError) {
        try makeDirectory(path, mode: 0o700)
        try fetch(tools, holding: lock)
        let facts = try finish()
        try publish(facts)
    }

    /// Removes the site.
    func remove() throws(ImageError) {
        try Tree(root: path).remove()
    }

    /// What becomes the image's directory.
    private var directory: FilePath { path.appending("image") }

    private var rootfs: Rootfs { Rootfs(path: directory.appending("rootfs")) }

    private func fetch(
        _ tools: Tools,
        holding lock: borrowing Descriptor
    ) throws(ImageError) {
        let count = recipe.packages.count
        let packages = count == 1 ? "1 package" : "\(count) packages"
        progress("making a root with \(packages) of \(recipe.suite), and all they need…")
        let scratch = path.appending("scratch")
        try makeDirectory(scratch, mode: 0o700)
        let archive = path.appending("root.tar")
        let tool = try tools.mmdebstrap(scratch: scratch)
        try Bootstrap(recipe: recipe, mirror: mirror, tool: tool)
            .pack(into: archive, holding: lock, progress: progress)

        progress("unpacking…")
        try makeDirectory(directory, mode: 0o755)
        try makeDirectory(rootfs.path, mode: 0o755)
        // Everything is to belong to whoever builds; modes are settled afterwards.
        let arguments = [
            "--extract", "--file=\(archive)", "--directory=\(rootfs.path)",
            "--no-same-owner", "--exclude=./dev/*", "--warning=no-timestamp",
        ]
        try tools.tar().run(arguments, holding: lock) { _ in }
        try system("remove", archive) { unlink($0) }
    }

    private func finish() throws(ImageError) -> ImageFacts {
        progress("removing what no job needs…")
        let packageCount = try rootfs.packageCount()
        try rootfs.sweep(recipe.remove)
        try rootfs.furnish(for: recipe.user)
        try rootfs.settleModes()
        return ImageFacts(
            environment: recipe.environment,
            user: recipe.user,
            bytes: try Tree(root: rootfs.path).bytes(),
            packageCount: packageCount,
            createdUnixSeconds: Int64(time(nil))
        )
    }

    private func publish(_ facts: ImageFacts) throws(ImageError) {
        progress("computing its digest…")
        let digest = try ImageDigest.content(
            of: Tree(root: rootfs.path),
            environment: facts.environment,
            user: facts.user
        )
        try writeText(facts.yaml(), to: directory.appending("image.yaml"))
        // One call for tens of thousands of files. fsync(2) on each takes minutes, and syncfs(2)
        // is hidden from Swift.
        sync()
        let record = NameRecord(digest: digest, recipe: recipe.digest)
        let before = try store.publish(directory, as: recipe.name, record)
        guard let before else { return }
        do {
            guard try store.removeIfUnused(before) else { return }
            progress("removed \(before.short), which it replaces")
        } catch {
            // The image is there; that another one is too is no failure of the build.
            progress("cannot remove \(before.short), which it replaces, ignoring: \(error)")
        }
    }
}
