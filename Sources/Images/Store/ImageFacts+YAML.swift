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
                .section(["created", "bytes", "packages", "environment", "user"])
            createdUnixSeconds = try section.required("created").number()
            bytes = try section.required("bytes").number()
            packageCount = try section.required("packages").number()
            environment = try section.required("environment").environment()
            user = try section.required("user").user()
        } catch {
            throw .damaged(directory, error)
        }
    }

    /// The facts as they are stored.
    func yaml() throws(ImageError) -> String {
        let environment = environment.sorted { $0.key < $1.key }.map { (text($0), text($1)) }
        let user: [(Node, Node)] = [
            (text("name"), text(user.name)), (text("uid"), text(String(user.uid))),
            (text("gid"), text(String(user.gid))), (text("home"), text(user.home)),
            (text("shell"), text(user.shell)),
        ]
        let node = Node([
            (text("created"), text(String(createdUnixSeconds))),
            (text("bytes"), text(String(bytes))),
            (text("packages"), text(String(packageCount))),
            (
                text("environment"),
                Node(environment, Tag(.map), environment.isEmpty ? .flow : .block)
            ),
            (text("user"), Node(user)),
        ])
        do {
            return try Yams.serialize(node: node, allowUnicode: true)
        } catch {
            preconditionFailure("plain texts do not serialize: \(error)")
        }
    }

    private func text(_ text: String) -> Node {
        Node(text, Tag(.str), .doubleQuoted)
    }
}

extension Entry {
    /// A whole number.
    fileprivate func number<Value: FixedWidthInteger>() throws(DocumentError) -> Value {
        let text = try text()
        guard let value = Value(text) else { throw refusal("\"\(text)\" is no whole number") }
        return value
    }
}
