// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// What an image gets beside Debian's packages: wheels, and files that lie beside the recipe.
///
/// It is put together in a directory of its own, at the paths that it has in the image, and copied
/// in by mmdebstrap before the recipe's commands run.
struct Additions {
    let recipe: Recipe
    let path: FilePath

    /// Whether there is anything to add.
    var isEmpty: Bool { recipe.wheels == nil && recipe.contents.isEmpty }

    /// Makes the directory; `scratch` is for pip's temporary files.
    func gather(
        _ tools: Tools,
        scratch: FilePath,
        holding lock: borrowing Descriptor,
        progress: (String) -> Void
    ) throws(ImageError) {
        try makeDirectory(path, mode: 0o755)
        for content in recipe.contents { try content.write(below: path) }
        guard let wheels = recipe.wheels else { return }
        progress("fetching \(wheels.packages.count) wheels…")
        let requirements = scratch.appending("requirements.txt")
        try writeText(
            wheels.packages.map(\.requirement).joined(separator: "\n") + "\n",
            to: requirements
        )
        let place = path.pushing(FilePath(wheels.place))
        try makeDirectories(place, below: path)
        try tools.pip(scratch: scratch)
            .run(arguments(wheels, requirements, place), holding: lock) { _ in }
    }

    /// Everything that pip would take from the machine it runs on is said: what is fetched is for
    /// the image's Python, whatever the host's is. The hashes decide which file it is.
    private func arguments(
        _ wheels: Wheels,
        _ requirements: FilePath,
        _ place: FilePath
    ) -> [String] {
        var arguments = [
            "install", "--target=\(place)", "--requirement=\(requirements)", "--require-hashes",
            "--no-deps", "--no-compile", "--no-cache-dir", "--only-binary=:all:", "--no-input",
            "--progress-bar=off", "--disable-pip-version-check", "--root-user-action=ignore",
            "--implementation=cp", "--python-version=\(wheels.python)",
        ]
        // Debian 12's libc is 2.36, and runs what was made for an older one.
        let libcs = ["2014"] + [17, 24, 26, 27, 28, 31, 34, 35].map { "_2_\($0)" }
        arguments += libcs.map { "--platform=manylinux\($0)_\(Self.processor)" }
        return arguments + ["--platform=any"]
    }

    #if arch(arm64)
        private static let processor = "aarch64"
    #else
        private static let processor = "x86_64"
    #endif
}
