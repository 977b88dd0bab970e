// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// What an image gets beside Debian's packages: wheels, and files that lie beside the recipe.
@Suite(.timeLimit(.minutes(1))) struct AdditionTests {
    private static let hash = String(repeating: "0a", count: 32)
    private static let wheels =
        "wheels: {python: \"3.11\", packages: [{name: sample, version: 1.2, sha256: [\(hash)]}]}"

    /// A script in pip's place: it does what is told of it, and says how it was called.
    private static let pip = """
        #!/bin/sh
        set -eu
        for word; do
            case $word in
                --target=*) target=${word#--target=} ;;
                --requirement=*) requirements=${word#--requirement=} ;;
            esac
        done
        cp "$requirements" "$target/asked"
        printf '%s\n' "$@" > "$target/arguments"

        """

    /// What unpacks like mmdebstrap, with what its hook is to copy in.
    private static let packing = BuilderFixture.packing.replacingOccurrences(
        of: "tar --create",
        with: """
            for word; do
                case $word in
                    "--customize-hook=sync-in "*)
                        from=${word#*sync-in } from=${from% /}
                        eval "cp -a $from/. ."
                        ;;
                esac
            done
            tar --create
            """
    )

    private func site(_ further: [String]) throws -> BuilderFixture {
        let site = try BuilderFixture(script: Self.packing)
        try site.writeRecipe(further: further)
        try site.workshop.write("tools/pip3", Self.pip, mode: 0o755)
        return site
    }

    private func text(_ image: Image, _ name: String) throws -> String {
        try readText(image.rootfs.pushing(FilePath(name)))
    }

    @Test("wheels are asked for by version and hash, for the image's Python")
    func wheels() throws {
        let site = try site([Self.wheels])
        defer { withExtendedLifetime(site) {} }
        let image = try #require(try site.build().built)
        let place = "usr/local/lib/python3.11/dist-packages"
        #expect(
            try text(image, place + "/asked") == "sample==1.2 --hash=sha256:\(Self.hash)\n"
        )
        let arguments = try text(image, place + "/arguments").split(separator: "\n")
        for wanted in [
            "--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version=3.11",
        ] {
            #expect(arguments.contains(Substring(wanted)))
        }
    }

    @Test("files beside the recipe come in, and a changed one makes another image")
    func files() throws {
        let site = try site(["files: [{from: tool, to: /usr/local/lib/tool}]"])
        try site.workshop.write("recipe/tool/main.py", "1\n")
        try site.workshop.write("recipe/tool/deep/run", "2\n", mode: 0o755)
        try site.workshop.write("recipe/tool/__pycache__/main.pyc", "3\n")
        let image = try #require(try site.build().built)
        #expect(try text(image, "usr/local/lib/tool/main.py") == "1\n")
        let program = image.rootfs.pushing("usr/local/lib/tool/deep/run")
        #expect(try TreeEntry(program, name: []).mode == 0o755)
        let cache = image.rootfs.pushing("usr/local/lib/tool/__pycache__")
        #expect(!FileManager.default.fileExists(atPath: cache.string))
        #expect(try site.build().built == nil)
        try site.workshop.write("recipe/tool/main.py", "4\n")
        #expect(try text(#require(try site.build().built), "usr/local/lib/tool/main.py") == "4\n")
    }

    @Test("a file that is not there, or a link, is refused before anything is fetched")
    func noFile() throws {
        let site = try site(["files: [{from: tool, to: /usr/local/bin/tool}]"])
        let missing = #expect(throws: ImageError.self) { try site.build() }
        #expect(missing?.description.contains("recipe/tool") == true)
        symlink("/etc/passwd", site.workshop.path.appending("recipe/tool").string)
        let link = #expect(throws: ImageError.self) { try site.build() }
        #expect(link?.description.contains("is no file of at most 4 MiB") == true)
    }

    @Test("versions are told of packages and of wheels, and stay with the image")
    func versions() throws {
        let site = try site([Self.wheels, "versions: [sample]"])
        let image = try #require(try site.build().built)
        #expect(image.facts.versions == ["sample": "1.2"])
        #expect(try site.store.resolve("tiny").facts.versions == ["sample": "1.2"])
        try site.writeRecipe(further: ["versions: [nothing-such]"])
        let error = #expect(throws: ImageError.self) { try site.build() }
        #expect(error?.description.contains("has no package \"nothing-such\"") == true)
    }

    @Test("what pip says when it fails is passed on, and nothing is kept")
    func failure() throws {
        let site = try site([Self.wheels])
        let script = "#!/bin/sh\necho 'THESE PACKAGES DO NOT MATCH THE HASHES' >&2\nexit 1\n"
        try site.workshop.write("tools/pip3", script, mode: 0o755)
        let error = #expect(throws: ImageError.self) { try site.build() }
        #expect(error?.description.contains("pip3 failed with 1") == true)
        #expect(error?.description.contains("DO NOT MATCH THE HASHES") == true)
        #expect(try site.store.list().isEmpty)
    }

    @Test("without pip the build says what to install")
    func noPip() throws {
        let site = try site([Self.wheels])
        unlink(site.workshop.path.appending("tools/pip3").string)
        let directory = site.workshop.path.appending("few")
        try makeDirectory(directory, mode: 0o755)
        for name in ["tar", "sh"] { symlink("/usr/bin/\(name)", directory.appending(name).string) }
        let error = #expect(throws: ImageError.self) { try site.build(tools: [directory]) }
        #expect(error == .toolMissing("pip3"))
    }

    @Test("a recipe without additions keeps the digest that it had")
    func sameDigest() throws {
        let plain = try RecipeTests.recipe()
        let more = try RecipeTests.recipe(RecipeTests.lines + [Self.wheels])
        #expect(plain.digest != more.digest)
        let empty = try RecipeTests.recipe(RecipeTests.lines + ["files: []", "versions: []"])
        #expect(plain.digest == empty.digest)
    }

    @Test(
        "an addition that is wrong is named, with its key",
        arguments: [
            ("wheels: {}", "wheels.python: is missing"),
            ("wheels: {python: \"2.7\", packages: []}", "wheels.python: \"2.7\" is no version"),
            ("wheels: {python: \"3.11\", packages: []}", "wheels.packages: is empty"),
            (
                "wheels: {python: \"3.11\", packages: [{name: a, version: 1}]}",
                "wheels.packages[0].sha256: is missing"
            ),
            (
                "wheels: {python: \"3.11\", packages: [{name: a, version: 1, sha256: []}]}",
                "wheels.packages[0].sha256: is empty: a wheel is pinned by its bytes"
            ),
            (
                "wheels: {python: \"3.11\", packages: [{name: a, version: 1, sha256: [ab]}]}",
                "wheels.packages[0].sha256[0]: \"ab\" is no SHA-256"
            ),
            (
                "wheels: {python: \"3.11\", packages: [{name: --pre, version: 1,"
                    + " sha256: [\(hash)]}]}",
                "wheels.packages[0].name: \"--pre\" is no name of a wheel"
            ),
            (
                "wheels: {python: \"3.11\", packages: [{name: a, version: \">=1\","
                    + " sha256: [\(hash)]}]}",
                "wheels.packages[0].version: \">=1\" is no version"
            ),
            ("files: [{from: ../x, to: /x}]", "files[0].from: \"../x\" is no name"),
            ("files: [{from: .x, to: /x}]", "files[0].from: \".x\" is no name"),
            ("files: [{from: x, to: /../x}]", "files[0].to: \"/../x\" is no absolute path"),
            ("files: [{from: x, to: /x}, {from: y, to: /x}]", "files[1]: /x is there twice"),
            ("versions: [\"\"]", "versions[0]: \"\" is no package"),
        ]
    )
    func refusals(line: String, message: String) {
        let error = #expect(throws: DocumentError.self) {
            try RecipeTests.recipe(RecipeTests.lines + [line])
        }
        let description = error?.description ?? ""
        #expect(description.hasPrefix("recipe.yaml:9: " + message), "\(description)")
    }

    @Test("the browser recipe is accepted, and its wheels are pinned")
    func browser() throws {
        let directory = FilePath(#filePath).removingLastComponent().removingLastComponent()
            .removingLastComponent().appending("images/browser")
        let recipe = try Recipe(directory: directory)
        #expect(recipe.name == "browser")
        #expect(recipe.wheels?.packages.map(\.name).contains("playwright") == true)
        #expect(recipe.contents.contains { $0.path == "/usr/local/bin/browse" && $0.isExecutable })
    }
}
