// SPDX-License-Identifier: Apache-2.0

/// Images that the engine has.
extension DockerClient {
    /// Looks at an image; nil when there is none.
    package func inspect(
        image: ImageReference,
        limits: CallLimits = .question
    ) async throws(DockerError) -> EngineImage? {
        let request = EngineRequest(
            .imageInspect,
            .get,
            RequestPath("/images/", image.forEngine, "/json").text,
            limits: limits
        )
        let answer = try await ask(request.accepting(404))
        guard answer.status != 404 else { return nil }
        return try Self.reading(.imageInspect) { () throws(DockerError.Reason) in
            try EngineImage(inspected: Reading(answer))
        }
    }

    /// All images that have all of these labels, which are looked for again in the answer.
    package func images(
        labels: [String: String],
        limits: CallLimits = .question
    ) async throws(DockerError) -> [EngineImage] {
        let filters = try LabelFilter.parameter(labels, .imageList)
        let request = EngineRequest(
            .imageList,
            .get,
            RequestPath("/images/json").with("filters", filters).text,
            limits: limits
        )
        let answer = try await ask(request)
        return try Self.reading(.imageList) { () throws(DockerError.Reason) in
            var images: [EngineImage] = []
            for reading in try Reading.all(answer) { images.append(try .init(listed: reading)) }
            return images.filter { LabelFilter.matches(labels, $0.labels) }
        }
    }

    /// Gives an image another name, which must have a tag and no digest. One that had it loses it.
    package func tag(
        _ image: ImageReference,
        as name: ImageReference,
        limits: CallLimits = .change
    ) async throws(DockerError) {
        let tag = try name.tagToGive(.imageTag)
        let request = EngineRequest(
            .imageTag,
            .post,
            RequestPath("/images/", image.forEngine, "/tag")
                .with("repo", name.name)
                .with("tag", tag).text,
            limits: limits
        )
        _ = try await ask(request)
    }

    /// Takes a name from an image, and with its last name the image. By its id an image goes that
    /// has no more than one name.
    ///
    /// Throws `inUse` when the engine wants to be forced: containers use it, or other names do.
    package func remove(
        image: ImageReference,
        limits: CallLimits = .change
    ) async throws(DockerError) -> Ending {
        let request = EngineRequest(
            .imageRemove,
            .delete,
            RequestPath("/images/", image.forEngine).with("force", "0").text,
            limits: limits
        )
        do throws(DockerError) {
            return try await ask(request.accepting(404)).status == 404 ? .gone : .done
        } catch {
            guard case .answered(409, let message) = error.reason else { throw error }
            throw DockerError(.imageRemove, .inUse(message))
        }
    }
}

extension ImageReference {
    /// What a request's path takes: with a digest, the tag says nothing more.
    var forEngine: String {
        guard let digest else { return description }
        return name.isEmpty ? digest : "\(name)@\(digest)"
    }

    /// The tag of a name that is to be given to an image.
    func tagToGive(_ call: DockerError.Call) throws(DockerError) -> String {
        guard let tag, digest == nil else {
            throw DockerError(
                call,
                .invalid("'\(self)' cannot be given to an image: write NAME:TAG, without a digest")
            )
        }
        return tag
    }
}
