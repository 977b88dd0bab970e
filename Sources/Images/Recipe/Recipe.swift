// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// How an image is made: what `recipe.yaml` in a directory under `images/` says.
package struct Recipe: Hashable, Sendable {
    /// What the image is called.
    package let name: String

    /// The Debian release it is made of.
    package let suite: String

    /// The packages to install, with what they depend on; nothing that is only recommended.
    package let packages: [String]

    /// Packages to throw out again, whatever depends on them: what others need to be built, say.
    package let purge: [String]

    /// Patterns of paths to leave out. As in dpkg's `path-exclude`, `*` matches slashes too.
    package let remove: [String]

    /// Python packages that Debian does not have; may be left out.
    let wheels: Wheels?

    /// Files beside the recipe that go into the image; may be left out.
    let files: [RecipeFile]

    /// What is in those files; empty for a recipe that was read from text alone.
    private(set) var contents: [RecipeContent] = []

    /// The packages and wheels whose versions `image ls` prints; may be left out.
    package let shownVersions: [String]

    /// Commands for `/bin/sh -eu` to run inside the root before it is packed, in order.
    package let prepare: [String]

    /// The environment of jobs, and of `prepare`.
    package let environment: [String: String]

    /// Who jobs are.
    package let user: ImageUser

    /// Reads `recipe.yaml` in `directory`.
    package init(directory: FilePath) throws(ImageError) {
        let file = directory.appending("recipe.yaml")
        let yaml = try readText(file)
        do {
            try self.init(yaml: yaml, file: file.string)
        } catch {
            throw .recipe(error)
        }
        for file in files { contents += try file.contents(in: directory) }
    }

    /// Reads `yaml`; `file` is what refusals call it.
    package init(yaml: String, file: String) throws(DocumentError) {
        let recipe = try Entry(yaml: yaml, file: file).section([
            "name", "suite", "packages", "purge", "remove", "prepare", "environment", "user",
            "wheels", "files", "versions",
        ])
        name = try recipe.required("name").imageName()
        suite = try recipe.required("suite").suite()
        packages = try recipe.required("packages").each { (entry) throws(DocumentError) in
            try entry.packageName()
        }
        purge = try recipe.required("purge").each { (entry) throws(DocumentError) in
            try entry.packageName()
        }
        remove = try recipe.required("remove").each { (entry) throws(DocumentError) in
            try entry.absolutePath()
        }
        wheels = try recipe.pairs["wheels"]?.wheels()
        files = try recipe.pairs["files"]?.files() ?? []
        shownVersions =
            try recipe.pairs["versions"]?.each { (entry) throws(DocumentError) in
                try entry.packageName()
            } ?? []
        prepare = try recipe.required("prepare").each { (entry) throws(DocumentError) in
            try entry.text()
        }
        environment = try recipe.required("environment").environment()
        user = try recipe.required("user").user()
        guard !packages.isEmpty else {
            throw try recipe.required("packages").refusal("is empty: an image needs a package")
        }
    }

    /// The digest of what the recipe means, and of how this version builds.
    ///
    /// Comments, layout and the order of what has no order do not count. An image whose name was
    /// given for the same digest is not built again.
    package var digest: ImageDigest {
        var hasher = FieldHasher()
        hasher.add("sandboxd recipe \(ImageBuilder.version)")
        hasher.add(name)
        hasher.add(suite)
        hasher.add(packages.sorted())
        hasher.add(purge.sorted())
        hasher.add(remove.sorted())
        hasher.add(prepare)
        hasher.add(environment)
        hasher.add(user)
        // A recipe without these keeps the digest that it had before there were any.
        if let wheels {
            hasher.add("wheels for \(wheels.python)")
            hasher.add(wheels.packages.map(\.requirement).sorted())
        }
        for content in contents {
            hasher.add(content.path)
            hasher.add(content.isExecutable ? "program" : "file")
            hasher.add(content.bytes)
        }
        if !shownVersions.isEmpty { hasher.add(shownVersions.sorted()) }
        return hasher.digest()
    }
}

extension Entry {
    /// Each value of a list, none of them twice.
    fileprivate func each(
        _ read: (Entry) throws(DocumentError) -> String
    ) throws(DocumentError) -> [String] {
        var values: [String] = []
        for entry in try list() {
            let value = try read(entry)
            guard !values.contains(value) else { throw entry.refusal("\(value) is there twice") }
            values.append(value)
        }
        return values
    }
}
