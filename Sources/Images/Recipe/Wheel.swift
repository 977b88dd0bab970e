// SPDX-License-Identifier: Apache-2.0

/// A Python package of PyPI's that an image gets as a wheel, pinned to its very bytes.
struct Wheel: Hashable, Sendable {
    /// Its name on PyPI.
    let name: String

    /// Its version.
    let version: String

    /// SHA-256 of the files that will do: one for each kind of processor, or one for all.
    let sha256: [String]

    /// The line of a requirements file, as pip(1) reads it.
    var requirement: String {
        "\(name)==\(version)" + sha256.map { " --hash=sha256:\($0)" }.joined()
    }
}

/// The wheels of an image, and the Python that they are for.
struct Wheels: Hashable, Sendable {
    /// The version of Python in the image: `3.11`.
    let python: String

    /// The packages; what they depend on must be among them.
    let packages: [Wheel]

    /// Where they are put, from the image's root: a place of Python's that dpkg never touches.
    var place: String { "usr/local/lib/python\(python)/dist-packages" }
}

extension Entry {
    /// Wheels: `{python: "3.11", packages: [{name: …, version: …, sha256: […]}]}`.
    func wheels() throws(DocumentError) -> Wheels {
        let section = try section(["python", "packages"])
        let python = try section.required("python")
        let version = try python.word("version of Python") { $0.isDecimal || $0 == 0x2e }
        guard version.hasPrefix("3.") else {
            throw python.refusal("\"\(version)\" is no version of Python: write one such as 3.11")
        }
        let list = try section.required("packages")
        var wheels: [Wheel] = []
        for entry in try list.list() {
            let wheel = try entry.wheel()
            guard !wheels.contains(where: { $0.name == wheel.name }) else {
                throw entry.refusal("\(wheel.name) is there twice")
            }
            wheels.append(wheel)
        }
        guard !wheels.isEmpty else { throw list.refusal("is empty: leave wheels out") }
        return Wheels(python: version, packages: wheels)
    }

    private func wheel() throws(DocumentError) -> Wheel {
        let section = try section(["name", "version", "sha256"])
        var hashes: [String] = []
        for entry in try section.required("sha256").list() {
            let hash = try entry.word("SHA-256") { $0.isDecimal || (0x61...0x66).contains($0) }
            guard hash.utf8.count == 64, !hashes.contains(hash) else {
                throw entry.refusal("\"\(hash)\" is no SHA-256, or there twice: write 64 digits")
            }
            hashes.append(hash)
        }
        guard !hashes.isEmpty else {
            throw try section.required("sha256").refusal("is empty: a wheel is pinned by its bytes")
        }
        return Wheel(
            name: try section.required("name").wheelName(),
            version: try section.required("version").wheelVersion(),
            sha256: hashes
        )
    }

    /// A name as PyPI has it (PEP 508), in lower case; it must not read as an option of pip's.
    private func wheelName() throws(DocumentError) -> String {
        let name = try word("name of a wheel") {
            $0.isLower || $0.isDecimal || "._-".utf8.contains($0)
        }
        guard let first = name.utf8.first, first.isLower || first.isDecimal else {
            throw refusal("\"\(name)\" is no name of a wheel")
        }
        return name
    }

    /// One version, not a range of them (PEP 440).
    private func wheelVersion() throws(DocumentError) -> String {
        let version = try word("version") {
            $0.isLower || $0.isDecimal || ".+!".utf8.contains($0)
        }
        guard version.utf8.first?.isDecimal == true else {
            throw refusal("\"\(version)\" is no version: write one such as 1.2.3")
        }
        return version
    }
}
