// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage

@testable import Images

/// A recipe, a store, and a script in mmdebstrap's place.
///
/// The real one takes minutes and a network. This one is a real process too: it gets the real
/// command line and answers with a real archive.
struct BuilderFixture: Sendable {
    let workshop: Workshop

    /// The script's part after the archive's path is known; the default packs a tiny root.
    init(script: String = Self.packing) throws {
        workshop = try Workshop()
        try writeRecipe()
        try writeScript(script)
    }

    var store: ImageStore { workshop.store }

    /// Builds the recipe.
    func build(
        tools: [FilePath] = ["/usr/bin", "/bin"]
    ) throws(ImageError) -> ImageBuilder.Outcome {
        let searchPath = [workshop.path.appending("tools")] + tools
        return try ImageBuilder(store: store, searchPath: searchPath) { _ in }
            .build(workshop.path.appending("recipe"))
    }

    /// How often the script ran.
    func runs() throws -> Int {
        try readText(workshop.path.appending("runs")).utf8.count { $0 == 0x0a }
    }

    /// `further` are lines of keys that a recipe may have besides.
    func writeRecipe(
        environment: String = "A",
        prepare: String = ":",
        further: [String] = []
    ) throws {
        var lines = RecipeTests.lines
        lines[4] = "remove: [/usr/share/doc, \"/usr/lib/*/tests\"]"
        lines[5] = "prepare: [\"\(prepare)\"]"
        lines[6] = "environment: {LANG: \(environment)}"
        lines += further
        try workshop.write("recipe/recipe.yaml", lines.joined(separator: "\n"))
    }

    func writeScript(_ script: String) throws {
        let start = """
            #!/bin/sh
            set -eu
            echo run >> '\(workshop.path)/runs'
            for archive; do :; done

            """
        try workshop.write("tools/mmdebstrap", start + script + "\n", mode: 0o755)
    }

    static let packing = """
        root=$(mktemp -d)
        cd "$root"
        mkdir -p etc dev var/tmp var/lib/dpkg usr/bin usr/share/doc/x usr/lib/a/b/tests/c tmp run/x
        printf 'Package: %s\\nStatus: install ok installed\\n\\n' a b > var/lib/dpkg/status
        printf 'Package: c\\nStatus: deinstall ok config-files\\n' >> var/lib/dpkg/status
        echo 0123456789abcdef > etc/machine-id
        echo 'root:x:0:0::/root:/bin/sh' > etc/passwd
        echo 'nameserver 192.0.2.1' > etc/resolv.conf
        ln -s /run/secret etc/hostname
        touch etc/shadow usr/bin/su dev/null usr/share/doc/x/README usr/lib/a/b/tests/c/d
        chmod 4750 usr/bin/su
        chmod 0600 etc/shadow
        mkfifo usr/lib/fifo
        mkdir usr/lib/closed
        touch usr/lib/closed/file
        chmod 0500 usr/lib/closed
        tar --create --file="$archive" .
        chmod 0700 usr/lib/closed
        rm -r "$root"
        """
}

extension ImageBuilder.Outcome {
    /// The image, if it is new.
    var built: Image? {
        guard case .built(let image) = self else { return nil }
        return image
    }
}
