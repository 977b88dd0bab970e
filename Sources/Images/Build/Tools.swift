// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The programs that a build runs.
struct Tools {
    /// Of the caller's environment, what a build obeys; the rest could change its outcome.
    private static let inherited = [
        "HOME", "USER", "TMPDIR",
        // Which index pip asks does not matter: the recipe has the hashes.
        "PIP_CERT", "PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL",
        "PIP_TRUSTED_HOST",
        "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    ]

    private let searchPath: [FilePath]
    private let environment: [String: String]

    /// Makes sure that all of them are there that `recipe` takes.
    init(
        for recipe: Recipe,
        searchPath: [FilePath],
        environment: [String: String]
    ) throws(ImageError) {
        self.searchPath = searchPath
        self.environment = environment.filter { Self.inherited.contains($0.key) }
            .merging(["LC_ALL": "C.UTF-8"]) { _, ours in ours }
        _ = try mmdebstrap(scratch: "/")
        _ = try tar()
        if recipe.wheels != nil { _ = try pip(scratch: "/") }
    }

    /// pip, which fetches wheels.
    func pip(scratch: FilePath) throws(ImageError) -> Tool {
        let environment = environment.merging(["TMPDIR": scratch.string]) { _, ours in ours }
        return try Tool("pip3", searchPath: searchPath, environment: environment)
    }

    /// mmdebstrap, which needs as much room for temporary files as the image takes.
    ///
    /// Root uses `scratch`. A user cannot: subordinate ids must be able to reach the place.
    func mmdebstrap(scratch: FilePath) throws(ImageError) -> Tool {
        var environment = environment
        if geteuid() == 0 { environment["TMPDIR"] = scratch.string }
        return try Tool("mmdebstrap", searchPath: searchPath, environment: environment)
    }

    /// tar.
    func tar() throws(ImageError) -> Tool {
        try Tool("tar", searchPath: searchPath, environment: environment)
    }
}
