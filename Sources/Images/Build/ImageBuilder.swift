// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// Builds images from recipes into a store.
///
/// One build runs in a store at a time; a second one waits. A build works in a directory that
/// nobody else looks at and that is gone when it fails; when it was killed, the next one waits
/// for what it had started, and removes what is left.
package struct ImageBuilder {
    /// How images are made; grows when the same recipe would now come out differently.
    static let version = 1

    /// What became of a build.
    package enum Outcome: Hashable, Sendable {
        /// The image is new.
        case built(Image)

        /// The recipe had been built already, and nothing was done.
        case upToDate(Image)
    }

    /// Where images go; made when it is not there yet.
    package let store: ImageStore

    private let mirror: String?
    private let searchPath: [FilePath]
    private let environment: [String: String]
    private let progress: (String) -> Void

    /// Prepares to build.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - mirror: A Debian mirror's URL, or a file with sources of apt's; none for Debian's own
    ///     servers. It does not count as a part of the recipe.
    ///   - searchPath: Where mmdebstrap and tar are found.
    ///   - environment: The process's; proxies and the place for temporary files are used.
    ///   - progress: Gets a line for people when something begins that takes a while.
    package init(
        store: ImageStore,
        mirror: String? = nil,
        searchPath: [FilePath] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"],
        environment: [String: String] = [:],
        progress: @escaping (String) -> Void
    ) {
        self.store = store
        self.mirror = mirror
        self.searchPath = searchPath
        self.environment = environment
        self.progress = progress
    }

    /// Builds the recipe in `directory`, unless its image is there and the recipe is unchanged.
    ///
    /// The name moves to it at once, and keeps the image that it had as its previous one. On failure
    /// nothing new is visible, and nothing of the build is left.
    package func build(_ directory: FilePath) throws(ImageError) -> Outcome {
        let recipe = try Recipe(directory: directory)
        if let image = try store.current(recipe) { return .upToDate(image) }
        let tools = try Tools(for: recipe, searchPath: searchPath, environment: environment)
        let say = { (line: String) in progress("image \(recipe.name): \(line)") }
        return try StoreSite.use(of: store, progress: say) { site, lock throws(ImageError) in
            // The other build may have been the same one.
            if let image = try store.current(recipe) { return .upToDate(image) }
            try BuildSite(recipe: recipe, mirror: mirror, site: site).build(tools, holding: lock)
            return .built(try store.resolve(recipe.name))
        }
    }
}
