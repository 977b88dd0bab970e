// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

@testable import Images

/// An engine that has one image to pull, and behaves as it is told in one place.
final class FakeRegistry: Sendable {
    /// What is different from a good engine.
    struct Behaviour: Sendable {
        /// What it says of the digest while it pulls, as Docker does; Podman says nothing.
        var saidDigest: String? = FakeRegistry.manifest
        /// The names by digest that the image has afterwards.
        var knownDigests = ["host.test/app@" + FakeRegistry.manifest]
        /// Whether the image was there before.
        var wasThere = false
        var pullAnswer: FakeEngine.Answer? = nil
        var archive: [UInt8]? = nil
        /// Called while it pulls.
        var whilePulling: @Sendable () -> Void = {}
        /// What images/json lists besides.
        var listed = "[]"
        var removalStatus = 200
    }

    static let manifest = "sha256:" + String(repeating: "12", count: 32)

    let engine: FakeEngine
    let image: TinyArchive

    init(_ image: TinyArchive, _ behaviour: Behaviour = Behaviour()) throws {
        self.image = image
        let loaded = Mutex<[String: String]>([:])
        let isPulled = Mutex(behaviour.wasThere)
        let loadedID = "sha256:" + String(repeating: "ef", count: 32)
        engine = try FakeEngine { request in
            let path = request.path
            if request.method == "POST", path.hasPrefix("/images/create?fromImage=") {
                behaviour.whilePulling()
                if let answer = behaviour.pullAnswer { return answer }
                isPulled.withLock { $0 = true }
                let line = behaviour.saidDigest.map { #"{"status":"Digest: \#($0)"}"# + "\n" }
                return .json((line ?? "") + #"{"status":"Status: Downloaded newer image"}"# + "\n")
            }
            if request.method == "POST", path.hasPrefix("/images/create?") {
                let words = path.removingPercentEncoding ?? ""
                for match in words.matches(of: /LABEL "([^"]*)"="([^"]*)"/) {
                    loaded.withLock { $0[String(match.output.1)] = String(match.output.2) }
                }
                return .json(#"{"status":"\#(loadedID)"}"# + "\n")
            }
            switch (request.method, path) {
            case ("DELETE", _): return .json("[]", status: behaviour.removalStatus)
            case ("GET", _) where path.hasPrefix("/images/json"):
                let labels = loaded.withLock { $0 }.map { "\"\($0)\":\"\($1)\"" }
                guard !labels.isEmpty else { return .json(behaviour.listed) }
                let list = labels.joined(separator: ",")
                return .json(#"[{"Id":"\#(loadedID)","Labels":{\#(list)}}]"#)
            case ("GET", _) where path.hasSuffix("/json"):
                guard isPulled.withLock({ $0 }) else {
                    return .json(#"{"message":"no such image"}"#, status: 404)
                }
                let digests = behaviour.knownDigests.map { "\"\($0)\"" }.joined(separator: ",")
                return .json(
                    #"{"Id":"\#(image.id)","RepoTags":["host.test/app:1"],"RepoDigests":[\#(digests)]}"#
                )
            case ("GET", _) where path.hasSuffix("/get"):
                return FakeEngine.Answer(
                    body: behaviour.archive ?? image.bytes,
                    type: "application/x-tar"
                )
            default: return nil
            }
        }
    }

    /// The requests as short words: what was asked for, in order.
    var calls: [String] {
        engine.requests.map { request in
            let path = request.path
            return switch request.method {
            case "DELETE": "remove"
            case "POST": path.contains("fromImage") ? "pull" : "load"
            default:
                path.hasSuffix("/get") ? "save" : path.contains("/images/json") ? "list" : "inspect"
            }
        }
    }
}

/// An archive of one image with one file, as `docker save` writes it.
struct TinyArchive: Sendable {
    let bytes: [UInt8]
    /// The digest of its configuration, which is what Docker calls it.
    let id: String

    /// One file of `text`, and one of zeros.
    init(_ text: String, mebibytes: Int = 0) throws {
        let directory = try Scratch()
        try directory.write("root/etc/motd", text)
        if mebibytes > 0 {
            let zeros = [UInt8](repeating: 0, count: mebibytes << 20)
            try directory.write("root/zeros", bytes: zeros)
        }
        let layer = try directory.tar("root")
        let config = """
            {"architecture":"\(Self.architecture)","os":"linux","config":{"User":"0"},
             "rootfs":{"type":"layers","diff_ids":["\(ImageDigest(ofBytes: layer))"]}}
            """
        id = "\(ImageDigest(ofBytes: Array(config.utf8)))"
        let name = id.dropFirst(7) + ".json"
        try directory.write("image/\(name)", config)
        try directory.write("image/layer.tar", bytes: layer)
        try directory.write(
            "image/manifest.json",
            #"[{"Config":"\#(name)","RepoTags":null,"Layers":["layer.tar"]}]"#
        )
        bytes = try directory.tar("image")
    }

    private static var architecture: String {
        #if arch(arm64)
            "arm64"
        #else
            "amd64"
        #endif
    }
}
