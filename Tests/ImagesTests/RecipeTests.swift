// SPDX-License-Identifier: Apache-2.0
import SystemPackage
import Testing

@testable import Images

@Suite struct RecipeTests {
    /// A recipe with nothing wrong, one key a line.
    static let lines = [
        "name: tiny",
        "suite: bookworm",
        "packages: [bash, g++]",
        "purge: [libc6-dev]",
        "remove: [/usr/share/doc, \"/usr/*/tests\"]",
        "prepare: [\"true\"]",
        "environment: {LANG: C.UTF-8}",
        "user: {name: job, uid: 1000, gid: 1000, home: /workspace, shell: /bin/bash}",
    ]

    static func recipe(_ lines: [String] = lines) throws(DocumentError) -> Recipe {
        try Recipe(yaml: lines.joined(separator: "\n") + "\n", file: "recipe.yaml")
    }

    @Test("a recipe says all that an image is made of")
    func reading() throws {
        let recipe = try Self.recipe()
        #expect(recipe.name == "tiny")
        #expect(recipe.suite == "bookworm")
        #expect(recipe.packages == ["bash", "g++"])
        #expect(recipe.purge == ["libc6-dev"])
        #expect(recipe.remove == ["/usr/share/doc", "/usr/*/tests"])
        #expect(recipe.prepare == ["true"])
        #expect(recipe.environment == ["LANG": "C.UTF-8"])
        #expect(recipe.user == .job)
    }

    @Test(
        "a line that is wrong is named, with its key",
        arguments: [
            (1, "name: ../code", "1: name: \"../code\" is no name"),
            (1, "name: [a]", "1: name: is a list"),
            (1, "name:", "1: name: has no value"),
            (2, "suite: \"book worm\"", "2: suite: \"book worm\" is no suite"),
            (2, "suite: --help", "2: suite: \"--help\" is no suite"),
            (3, "packages: []", "3: packages: is empty"),
            (3, "packages: bash", "3: packages: is no list"),
            (3, "packages: [bash, --yes]", "3: packages[1]: \"--yes\" is no package"),
            (3, "packages: [\"bash,zsh\"]", "3: packages[0]: \"bash,zsh\" is no package"),
            (3, "packages: [bash, bash]", "3: packages[1]: bash is there twice"),
            (4, "purge: [\"x; reboot\"]", "4: purge[0]: \"x; reboot\" is no package"),
            (4, "purge: [python3 ]\ncolour: red", "5: colour: is an unknown key"),
            (5, "remove: [usr/share]", "5: remove[0]: \"usr/share\" is no absolute path"),
            (5, "remove: [/usr/../etc]", "5: remove[0]: \"/usr/../etc\" is no absolute path"),
            (5, "remove: [/]", "5: remove[0]: \"/\" is no absolute path"),
            (6, "prepare: [\"a\\0b\"]", "6: prepare[0]: has a NUL"),
            (7, "environment: {1A: x}", "7: environment.1A: is no name"),
            (7, "environment: {A: }", "7: environment.A: has no value"),
            (7, "environment: [A]", "7: environment: is no section"),
            (8, "user: {name: job}", "8: user.uid: is missing"),
            (8, "user: {name: root, uid: 1000, gid: 1000, home: /, shell: /x}", "8: user.home: "),
            (
                8, "user: {name: job, uid: 0, gid: 1000, home: /w, shell: /x}",
                "8: user.uid: \"0\" is"
            ),
            (
                8, "user: {name: job, uid: -1, gid: 1000, home: /w, shell: /x}",
                "8: user.uid: \"-1\""
            ),
            (8, "user: {name: job, uid: 1, uid: 2}", "8: "),
        ]
    )
    func refusals(line: Int, text: String, message: String) {
        var lines = Self.lines
        lines[line - 1] = text
        let error = #expect(throws: DocumentError.self) { try Self.recipe(lines) }
        let description = error?.description ?? ""
        #expect(description.hasPrefix("recipe.yaml:" + message), "\(description)")
    }

    @Test("a key that is missing is named", arguments: 0..<lines.count)
    func missing(line: Int) {
        var lines = Self.lines
        let key = lines.remove(at: line).prefix { $0 != ":" }
        let error = #expect(throws: DocumentError.self) { try Self.recipe(lines) }
        #expect(error?.description == "recipe.yaml:1: \(key): is missing: nothing has a default")
    }

    @Test(
        "what is no YAML, or nothing, is refused with its line",
        arguments: [
            ("", "recipe.yaml:1: the file is empty"),
            ("name: tiny\nsuite: [\n", "recipe.yaml:3: "),
            ("name: tiny\nname: tiny\n", "recipe.yaml:"),
            ("- name\n", "recipe.yaml:1: is no section"),
        ]
    )
    func malformed(yaml: String, message: String) {
        let error = #expect(throws: DocumentError.self) {
            try Recipe(yaml: yaml, file: "recipe.yaml")
        }
        let description = error?.description ?? ""
        #expect(description.hasPrefix(message), "\(description)")
    }

    @Test("a recipe that is not there names the file it looked for")
    func absent() throws {
        let workshop = try Workshop()
        let file = workshop.path.appending("recipe.yaml")
        #expect(throws: ImageError.system(doing: "open", file, .noSuchFileOrDirectory)) {
            try Recipe(directory: workshop.path)
        }
    }

    @Test("comments, layout and order do not change a recipe's digest")
    func sameDigest() throws {
        let digest = try Self.recipe().digest
        var lines = Self.lines
        lines[2] = "packages:   # a comment\n  - g++\n  - bash"
        #expect(try Self.recipe(Array(lines.reversed())).digest == digest)
    }

    @Test(
        "whatever an image is made of changes its recipe's digest",
        arguments: [
            (1, "name: small"), (2, "suite: trixie"), (3, "packages: [bash]"), (4, "purge: []"),
            (5, "remove: []"), (6, "prepare: []"), (7, "environment: {LANG: C}"),
            (8, "user: {name: job, uid: 1001, gid: 1000, home: /workspace, shell: /bin/bash}"),
        ]
    )
    func differentDigest(line: Int, text: String) throws {
        var lines = Self.lines
        lines[line - 1] = text
        #expect(try Self.recipe(lines).digest != Self.recipe().digest)
    }
}
