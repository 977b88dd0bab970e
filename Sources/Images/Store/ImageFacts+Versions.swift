// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension ImageFacts {
    /// The file of versions, which lies beside `image.yaml` when there are any to tell.
    static let versionsFile: FilePath.Component = "versions.yaml"

    /// Reads the versions in the image's `directory`; an image need not have any.
    static func versions(directory: FilePath) throws(ImageError) -> [String: String] {
        let path = directory.appending(versionsFile)
        let yaml: String
        do {
            yaml = try readText(path)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return [:]
        }
        do {
            var versions: [String: String] = [:]
            for (name, entry) in try Entry(yaml: yaml, file: path.string).pairs() {
                versions[name] = try entry.text()
            }
            return versions
        } catch {
            throw .damaged(directory, error)
        }
    }

    /// Writes the versions into the image's `directory`, if there are any.
    func writeVersions(in directory: FilePath) throws(ImageError) {
        guard !versions.isEmpty else { return }
        // Versions and names are plain words: quotes are all the care that YAML asks for.
        let lines = versions.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \"\($0.value)\"\n" }
        try writeText(lines.joined(), to: directory.appending(Self.versionsFile))
    }
}
