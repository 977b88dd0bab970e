// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage

@testable import Images

/// Makes archives as `docker save` and `skopeo` do, or wrong in one place.
struct ArchiveMaker {
    enum Layout: CaseIterable {
        /// As Docker 20.10 and Podman write it.
        case docker
        /// As `skopeo copy … oci-archive:` does, with gzip.
        case oci
    }

    /// What is different from a good archive.
    struct Damage {
        var architecture = ArchiveMaker.architecture
        var system = "linux"
        var contents: [String]?
        var layerNames: [String]?
        var configName: String?
        var images = 1
        var blobSizes: Int?
        var leavesOut: Int?
    }

    static var architecture: String {
        #if arch(arm64)
            "arm64"
        #else
            "amd64"
        #endif
    }

    var layers: [[UInt8]]
    var layout = Layout.docker
    var compression: (program: String, arguments: [String])? = nil
    var damage = Damage()

    init(_ layers: [TarWriter], _ layout: Layout = .docker) {
        self.layers = layers.map(\.finished)
        self.layout = layout
        if layout == .oci { compression = ("/bin/gzip", ["-c", "-n"]) }
    }

    static func digest(_ bytes: [UInt8]) -> String { "\(ImageDigest(ofBytes: bytes))" }

    /// The configuration, with everything that an image may say about its running.
    var config: [UInt8] {
        let contents = damage.contents ?? layers.map(Self.digest)
        let list = contents.map { "\"\($0)\"" }.joined(separator: ",")
        return Array(
            """
            {"architecture":"\(damage.architecture)","os":"\(damage.system)",
             "created":"2024-05-06T07:08:09Z",
             "config":{"User":"root","Env":["SECRET=1","PATH=/bin"],"WorkingDir":"/srv",
             "Entrypoint":["/bin/sh","-c"],"Cmd":["echo \\u001b[31m"],"Labels":null},
             "rootfs":{"type":"layers","diff_ids":[\(list)]}}
            """.utf8
        )
    }

    /// The whole archive.
    func bytes() throws -> [UInt8] {
        var tar = TarWriter()
        switch layout {
        case .docker: try writeDocker(&tar)
        case .oci: try writeOCI(&tar)
        }
        return tar.finished
    }

    private func packed() throws -> [[UInt8]] {
        guard let compression else { return layers }
        return try layers.map { try $0.through(compression.program, compression.arguments) }
    }

    private func writeDocker(_ tar: inout TarWriter) throws {
        var names: [String] = []
        for (index, layer) in try packed().enumerated() {
            let name = "\(index)/layer.tar"
            names.append(name)
            guard damage.leavesOut != index else { continue }
            // What is there twice, Docker writes as a link.
            if let first = layers[..<index].firstIndex(of: layers[index]) {
                tar.add("2", name, link: "../\(first)/layer.tar")
            } else {
                tar.add("0", name, content: layer)
            }
        }
        let config = config
        let hex = Self.digest(config).dropFirst(7)
        let path = damage.configName ?? "\(hex).json"
        tar.add("0", path, content: config)
        let list = (damage.layerNames ?? names).map { "\"\($0)\"" }.joined(separator: ",")
        let image = #"{"Config":"\#(path)","RepoTags":["some/thing:1"],"Layers":[\#(list)]}"#
        let images = [String](repeating: image, count: damage.images).joined(separator: ",")
        tar.file("manifest.json", "[\(images)]")
    }

    private func writeOCI(_ tar: inout TarWriter) throws {
        tar.file("oci-layout", #"{"imageLayoutVersion":"1.0.0"}"#)
        func blob(_ bytes: [UInt8], named name: String? = nil) -> String {
            let digest = name ?? Self.digest(bytes)
            tar.add("0", "blobs/sha256/\(digest.dropFirst(7))", content: bytes)
            return #""digest":"\#(digest)","size":\#(damage.blobSizes ?? bytes.count)"#
        }
        var descriptors: [String] = []
        for (index, layer) in try packed().enumerated() {
            let name = damage.layerNames?[index]
            descriptors.append(
                #"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",\#(blob(layer, named: name))}"#
            )
        }
        let configuration = blob(config, named: damage.configName)
        let manifest = Array(
            """
            {"schemaVersion":2,"config":{\(configuration)},
             "layers":[\(descriptors.joined(separator: ","))]}
            """.utf8
        )
        let description = blob(manifest)
        let image = """
            {"mediaType":"application/vnd.oci.image.manifest.v1+json",\(description),
             "annotations":{"org.opencontainers.image.ref.name":"some/thing:1"}}
            """
        let other = """
            {"mediaType":"application/vnd.oci.image.manifest.v1+json",\(description),
             "platform":{"os":"unknown","architecture":"unknown"}}
            """
        let images = [String](repeating: image, count: damage.images) + [other]
        let list = images.joined(separator: ",")
        tar.file("index.json", #"{"schemaVersion":2,"manifests":[\#(list)]}"#)
    }
}

extension Workshop {
    /// Imports an archive as `name`.
    @discardableResult
    func importing(
        _ maker: ArchiveMaker,
        as name: String = "tiny",
        limits: ImportLimits = ImportLimits(),
        tools: [FilePath] = ["/usr/bin", "/bin"]
    ) throws -> ImageImporter.Outcome {
        try importing(bytes: maker.bytes(), as: name, limits: limits, tools: tools)
    }

    @discardableResult
    func importing(
        bytes: [UInt8],
        as name: String = "tiny",
        limits: ImportLimits = ImportLimits(),
        tools: [FilePath] = ["/usr/bin", "/bin"]
    ) throws -> ImageImporter.Outcome {
        let file = path.appending("image.tar")
        try Data(bytes).write(to: URL(fileURLWithPath: file.string))
        var importer = ImageImporter(store: store, searchPath: tools) { _ in }
        importer.limits = limits
        return try importer.image(of: ImageArchive(file), as: name)
    }
}
