// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// The recipes that are in the tree.
@Suite struct CodeImageTests {
    private var directory: FilePath {
        FilePath(#filePath).removingLastComponent().removingLastComponent()
            .removingLastComponent().appending("images/code")
    }

    @Test("the code recipe is accepted")
    func recipe() throws {
        let recipe = try Recipe(directory: directory)
        #expect(recipe.name == "code")
        #expect(recipe.user == .job)
    }

    @Test(
        "the code image is built from Debian's packages",
        .enabled(
            if: ProcessInfo.processInfo.environment["SANDBOXD_TEST_IMAGE_BUILD"] != nil,
            "takes minutes and a Debian mirror; set SANDBOXD_TEST_IMAGE_BUILD to run it"
        ),
        .timeLimit(.minutes(20))
    )
    func building() throws {
        let workshop = try Workshop()
        let builder = ImageBuilder(
            store: workshop.store,
            environment: ProcessInfo.processInfo.environment,
            progress: { print($0) }
        )
        let image = try #require(try builder.build(directory).built)
        #expect(image.facts.bytes < 700_000_000)
        for name in ["usr/bin/python3", "usr/bin/node", "usr/lib/python3/dist-packages/numpy"] {
            #expect(try TreeEntry(image.rootfs.appending(name), name: []).mode == 0o755)
        }
    }
}
