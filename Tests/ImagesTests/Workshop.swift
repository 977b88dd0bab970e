// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// A directory of a test's own, with an image store in it; gone with the object.
final class Workshop: Sendable {
    let path: FilePath

    init() throws {
        path = FilePath(NSTemporaryDirectory()).appending("images-\(UUID().uuidString)")
        try makeDirectory(path, mode: 0o755)
    }

    deinit {
        // A leftover in the temporary directory harms no other test.
        try? Tree(root: path).remove()
    }

    var store: ImageStore { ImageStore(path: path.appending("store")) }

    /// Writes a file of the workshop, and the directories to it.
    func write(_ name: String, _ text: String, mode: Int = 0o644) throws {
        let file = path.appending(name)
        let directory = file.removingLastComponent().string
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: true
        )
        try Data(text.utf8).write(to: URL(fileURLWithPath: file.string))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.string)
    }

    /// The tree at `name`.
    func tree(_ name: String) -> Tree {
        Tree(root: path.appending(name))
    }

    /// The content digest of the tree at `name`.
    func digest(_ name: String, environment: [String: String] = [:]) throws -> ImageDigest {
        try .content(of: tree(name), environment: environment, user: .job)
    }

    /// All that is in the store's directory, hidden or not.
    func storeListing() throws -> [String] {
        try store.listing(store.path).sorted()
    }

    /// Publishes an image with one file that says `text`.
    @discardableResult
    func publish(_ name: String, _ text: String) throws -> Image {
        try store.create()
        let site = "store/.building-\(UUID().uuidString)"
        try write("\(site)/rootfs/etc/motd", text)
        let digest = try digest("\(site)/rootfs")
        let facts = ImageFacts(
            environment: ["GREETING": "\"hello\"\n# there"],
            user: .job,
            bytes: 5,
            packageCount: 1,
            createdUnixSeconds: 1_700_000_000
        )
        try writeText(facts.yaml(), to: path.appending(site).appending("image.yaml"))
        _ = try store.publish(path.appending(site), digest, as: name) {
            $0?.moved(to: digest, recipe: digest) ?? NameRecord(digest: digest, recipe: digest)
        }
        try tree(site).remove()
        return try store.resolve(name)
    }
}

extension ImageUser {
    static let job = ImageUser(
        name: "job",
        uid: 1000,
        gid: 1000,
        home: "/workspace",
        shell: "/bin/bash"
    )
}
