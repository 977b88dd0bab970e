// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage
internal import Yams

extension ImageFacts {
    /// Reads `image.yaml` in the image's `directory`.
    init(directory: FilePath) throws(ImageError) {
        let path = directory.appending("image.yaml")
        let yaml = try readText(path)
        do {
            let section = try Entry(yaml: yaml, file: path.string)
                .section(["created", "bytes", "packages", "environment", "user", "source"])
            createdUnixSeconds = try section.required("created").number()
            bytes = try section.required("bytes").number()
            packageCount = try section.required("packages").number()
            environment = try section.required("environment").environment()
            user = try section.required("user").user()
            source = try section.pairs["source"]?.source()
        } catch {
            throw .damaged(directory, error)
        }
        versions = try Self.versions(directory: directory)
    }

    /// The facts as they are stored.
    func yaml() throws(ImageError) -> String {
        let environment = environment.sorted { $0.key < $1.key }.map { (text($0), text($1)) }
        let user: [(Node, Node)] = [
            (text("name"), text(user.name)), (text("uid"), text(String(user.uid))),
            (text("gid"), text(String(user.gid))), (text("home"), text(user.home)),
            (text("shell"), text(user.shell)),
        ]
        var pairs = [
            (text("created"), text(String(createdUnixSeconds))),
            (text("bytes"), text(String(bytes))),
            (text("packages"), text(String(packageCount))),
            (
                text("environment"),
                Node(environment, Tag(.map), environment.isEmpty ? .flow : .block)
            ),
            (text("user"), Node(user)),
        ]
        if let source {
            var lines = [(text("reference"), text(source.reference))]
            if let manifest = source.manifest {
                lines.append((text("manifest"), text("\(manifest)")))
            }
            lines.append((text("config"), text("\(source.config)")))
            pairs.append((text("source"), Node(lines)))
        }
        do {
            return try Yams.serialize(node: Node(pairs), allowUnicode: true)
        } catch {
            preconditionFailure("plain texts do not serialize: \(error)")
        }
    }

    private func text(_ text: String) -> Node {
        Node(text, Tag(.str), .doubleQuoted)
    }
}

extension Entry {
    /// Where an imported image comes from.
    fileprivate func source() throws(DocumentError) -> ImageSource {
        let section = try section(["reference", "manifest", "config"])
        return ImageSource(
            reference: try section.required("reference").text(),
            manifest: try section.pairs["manifest"]?.digest(),
            config: try section.required("config").digest()
        )
    }

    /// A whole number.
    fileprivate func number<Value: FixedWidthInteger>() throws(DocumentError) -> Value {
        let text = try text()
        guard let value = Value(text) else { throw refusal("\"\(text)\" is no whole number") }
        return value
    }
}
