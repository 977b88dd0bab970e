// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A store of a test's own, with small images made of programs of this machine, and a daemon whose
/// only profile names them.
final class TestImages {
    /// What the images and the profile are called.
    static let name = "probe"

    let directory: String
    let daemon: TestDaemon

    var store: String { directory + "/images" }

    /// Starts a daemon with an empty store, whose profile wants an image that says "good" somewhere.
    init(
        health: String = #"[sh, -c, "read word < /etc/word; echo it is $word; test $word = good"]"#,
        options: [String] = []
    ) throws {
        directory = try Installation.shared.get().makeDirectory()
        let profiles = directory + "/profiles"
        try FileManager.default.createDirectory(
            atPath: profiles,
            withIntermediateDirectories: false
        )
        let source = try Installation.shared.get().profiles
        let yaml = try String(contentsOfFile: source + "/shell.yaml", encoding: .utf8)
            .replacing("name: shell", with: "name: \(Self.name)")
            .replacing("image: code", with: "image: \(Self.name)")
            .replacing("cpu_time: 10s", with: "cpu_time: 1s")
        try (yaml + "\nhealth: \(health)\n")
            .write(toFile: profiles + "/\(Self.name).yaml", atomically: true, encoding: .utf8)
        try FileManager.default.copyItem(
            atPath: source + "/syscalls",
            toPath: profiles + "/syscalls"
        )
        try FileManager.default.createDirectory(
            atPath: directory + "/images",
            withIntermediateDirectories: false
        )
        daemon = try TestDaemon(
            [
                "--images", directory + "/images", "--profiles", profiles,
            ] + options
        )
    }

    /// Stops the daemon; what it was given is gone with the installation.
    func stop() { daemon.stop() }

    // MARK: Commands

    /// `sandboxd image …` on this store, and with this daemon where that is of account.
    func command(_ arguments: [String]) throws -> Program.Ending {
        let program = try Installation.shared.get().program("sandboxd-tools")
        var options = ["--images", store]
        if arguments.first == "activate" { options += ["--socket", daemon.socket] }
        // Whatever engine the tests run on gets the image too.
        if arguments.first != "rm", let socket = Host.engineSocket {
            options += ["--docker", "unix://" + socket]
        }
        return try Program.run([program, "image"] + arguments + options)
    }

    /// The same, which must go well; answers what it said.
    @discardableResult
    func done(
        _ arguments: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let ending = try command(arguments)
        try #require(ending.exitCode == 0, "\(ending.errorText)", sourceLocation: sourceLocation)
        return ending.errorText
    }

    /// Imports an image that says `word`, and answers its digest.
    @discardableResult
    func importing(_ word: String, as name: String = TestImages.name) throws -> String {
        let archive = directory + "/\(word).tar"
        try Self.makeArchive(archive, word: word)
        let words = try done("import", archive, "--name", name)
        let short = try #require(words.firstMatch(of: /imported (sha256:[0-9a-f]{12})/)?.output.1)
        return try #require(try digests().first { $0.hasPrefix(short) })
    }

    /// The digests of all images that are there.
    func digests() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: store)
            .filter { $0.hasPrefix("sha256-") }.map { "sha256:" + $0.dropFirst(7) }
    }

    /// Runs something; answers the report.
    func run(_ script: String = "true", image: String? = nil) throws -> Report {
        try daemon.api.run(request(script, image: image))
    }

    /// What asks for a run, in `image` if that is named.
    func request(_ script: String, image: String? = nil) -> Run {
        let more = image.map { ["image": JSON.string($0)] } ?? [:]
        return Run(["sh", "-c", script], profile: Self.name, more)
    }

    // MARK: Archives

    /// An archive as `docker save` makes one: a shell, what it needs, and a file with a word.
    private static func makeArchive(_ path: String, word: String) throws {
        let place = path + ".d"
        let shell = """
            set -eu
            umask 022
            mkdir -p "$1/root/etc" "$1/root/bin" "$1/image"
            echo "$2" > "$1/root/etc/word"
            cp /bin/sh /bin/sleep /bin/true "$1/root/bin"
            # Where the programs look for their libraries, and with the links followed.
            ldd /bin/sh /bin/sleep /bin/true | grep -o '/[^ ]*' | grep -v ':$' | sort -u |
                while read -r file; do
                    mkdir -p "$1/root$(dirname "$file")"
                    cp -L "$file" "$1/root$file"
                done
            tar -C "$1/root" -cf "$1/image/layer.tar" .
            case $(uname -m) in x86_64) processor=amd64 ;; *) processor=arm64 ;; esac
            digest=$(sha256sum < "$1/image/layer.tar" | cut -d ' ' -f 1)
            printf '{"architecture":"%s","os":"linux","rootfs":{"diff_ids":["sha256:%s"]}}' \
                "$processor" "$digest" > "$1/image/config.json"
            printf '[{"Config":"config.json","RepoTags":null,"Layers":["layer.tar"]}]' \
                > "$1/image/manifest.json"
            tar -C "$1/image" -cf "$3" .
            rm -r "$1"
            """
        let ending = try Program.run(["sh", "-c", shell, "sh", place, word, path])
        try #require(ending.exitCode == 0, "\(ending.errorText)")
    }
}
