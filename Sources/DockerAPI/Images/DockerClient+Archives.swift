// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// Images on their way to the engine. Archives are read from a descriptor while they are sent, of
/// any size, from its present position to its end; progress is told on the loop's thread, and who
/// is told must not wait.
extension DockerClient {
    /// The longest instruction of an import, in bytes.
    private static let changeLimit = 4096

    /// Makes an image of a root file system as a tar archive, under a name with a tag, and answers
    /// its id. `changes` are instructions as in a Dockerfile: `LABEL "key"="value"`.
    package func importImage(
        _ archive: Descriptor,
        as name: ImageReference,
        changes: [String] = [],
        limits: CallLimits = .image,
        progress: @escaping @Sendable (ImageProgress) -> Void = { _ in }
    ) async throws(DockerError) -> String {
        _ = try name.tagToGive(.imageImport)
        // The tag within the name: Podman 4 knows no other way, and takes 'latest'.
        var path = RequestPath("/images/create")
            .with("fromSrc", "-")
            .with("repo", name.description)
        for change in changes { path = path.with("changes", try Self.checked(change)) }
        var request = EngineRequest(.imageImport, .post, path.text, limits: limits)
        request.body = .archive(archive)
        var last = ""
        try await follow(request) { line in
            last = line.status
            progress(line)
        }
        guard let id = EngineImage.identifier(last) else {
            throw DockerError(.imageImport, .unreadable("it ends without the image's id"))
        }
        return id
    }

    private static func checked(_ change: String) throws(DockerError) -> String {
        guard !change.isEmpty, change.utf8.count <= changeLimit,
            change.utf8.allSatisfy(\.isPrintable)
        else {
            throw DockerError(
                .imageImport,
                .invalid(
                    """
                    '\(Visible.text(change, limit: 200))' is no instruction: it is one line of at \
                    most \(changeLimit) bytes
                    """
                )
            )
        }
        return change
    }

    /// Takes in an archive of images, as `docker save` writes it, and answers their names, or the
    /// ids of those without a name.
    package func load(
        _ archive: Descriptor,
        limits: CallLimits = .image,
        progress: @escaping @Sendable (ImageProgress) -> Void = { _ in }
    ) async throws(DockerError) -> [ImageReference] {
        var request = EngineRequest(
            .imageLoad,
            .post,
            RequestPath("/images/load").with("quiet", "1").text,
            limits: limits
        )
        request.body = .archive(archive)
        var loaded: [ImageReference] = []
        try await follow(request) { line in
            loaded += Self.loaded(line.status)
            progress(line)
        }
        guard !loaded.isEmpty else {
            throw DockerError(.imageLoad, .unreadable("it names no image that was loaded"))
        }
        return loaded
    }

    /// The images of a line; the API has no other place for them than this text. Podman puts
    /// several on one line.
    private static func loaded(_ status: String) -> [ImageReference] {
        for beginning in ["Loaded image: ", "Loaded image ID: ", "Loaded image(s): "]
        where status.hasPrefix(beginning) {
            let names = status.dropFirst(beginning.count).split(separator: ",")
            return names.compactMap { name in
                // A name that is none in our grammar is not passed on.
                try? ImageReference(String(name.drop { $0 == " " }))
            }
        }
        return []
    }

    /// Fetches an image from its registry, and answers what it is. The reference has a tag or a
    /// digest: without, an engine would fetch them all.
    package func pull(
        _ image: ImageReference,
        auth: RegistryAuth? = nil,
        limits: CallLimits = .image,
        progress: @escaping @Sendable (ImageProgress) -> Void = { _ in }
    ) async throws(DockerError) -> EngineImage {
        guard !image.name.isEmpty, let version = image.digest ?? image.tag else {
            throw DockerError(
                .imagePull,
                .invalid("'\(image)' cannot be pulled: write NAME:TAG or NAME@sha256:DIGEST")
            )
        }
        let budget = CallBudget(.imagePull, limits)
        var request = EngineRequest(
            .imagePull,
            .post,
            RequestPath("/images/create")
                .with("fromImage", image.name)
                .with("tag", version).text,
            limits: limits
        )
        request.registryAuth = auth
        try await follow(request, progress)
        guard let pulled = try await inspect(image: image, limits: try budget.rest()) else {
            throw DockerError(.imagePull, .unreadable("the image is not there afterwards"))
        }
        return pulled
    }

    /// Sends a request whose answer is lines of progress; an error among them is thrown.
    private func follow(
        _ request: EngineRequest,
        _ take: @escaping (ImageProgress) -> Void
    ) async throws(DockerError) {
        var request = request
        request.takeLine = { line throws(DockerError.Reason) in take(try ImageProgress(line)) }
        _ = try await ask(request)
    }
}
