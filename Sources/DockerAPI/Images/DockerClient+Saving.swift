// SPDX-License-Identifier: Apache-2.0
package import Kernel
internal import SystemPackage

extension DockerClient {
    /// Writes an image as a tar archive, as `docker save` does, to `file`, a regular one, from its
    /// present position on. Answers how many bytes it was.
    ///
    /// Throws `tooLarge` for more than `byteLimit` bytes, of which no more are written, and `sink`
    /// when the file does not take them.
    package func save(
        _ image: ImageReference,
        to file: Descriptor,
        byteLimit: Int,
        limits: CallLimits = .image
    ) async throws(DockerError) -> Int {
        var request = EngineRequest(
            .imageSave,
            .get,
            RequestPath("/images/", image.forEngine, "/get").text,
            limits: limits
        )
        var written = 0
        request.takePiece = { piece throws(DockerError.Reason) in
            written += piece.count
            guard written <= byteLimit else { throw .tooLarge(.body, limit: byteLimit) }
            do throws(Errno) { try file.writeAll(Array(piece)) } catch { throw .sink(error) }
        }
        _ = try await ask(request)
        return written
    }
}
