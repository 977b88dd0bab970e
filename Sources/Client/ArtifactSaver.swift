// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import JSON
internal import Kernel
internal import SystemPackage

/// Puts a run's artifacts into a directory.
///
/// The names come from a sandbox: they are bytes, each part is created without following a link,
/// and nothing outside the directory can be reached through them.
package struct ArtifactSaver {
    private let daemon: DaemonAPI
    private let directory: String

    /// Saves into `directory`, which is made when it is missing.
    package init(_ daemon: DaemonAPI, directory: String) {
        self.daemon = daemon
        self.directory = directory
    }

    /// Saves every artifact of the result; existing files of the same names are replaced.
    package func save(_ result: JSONValue) throws(ClientError) {
        let root: Descriptor
        do throws(Errno) {
            _ = mkdir(directory, 0o755)
            root = try Descriptor.open(directory, O_RDONLY | O_DIRECTORY)
        } catch {
            throw .file(directory, error)
        }
        for artifact in result["artifacts"]?.elements ?? [] {
            try save(artifact, below: root)
        }
        for refused in result["artifacts_refused"]?.elements ?? [] {
            let name = Terminal.printable(refused["path"]?.text ?? "")
            Terminal.say("sandboxd: not kept: \(name) (\(refused["reason"]?.text ?? ""))")
        }
    }

    private func save(_ artifact: JSONValue, below root: Descriptor) throws(ClientError) {
        guard let text = artifact["path"]?.text, let digest = artifact["sha256"]?.text else {
            throw .notHTTP
        }
        let isEncoded = artifact["path_encoding"]?.text == "base64"
        let path = isEncoded ? Base64.decode(text) ?? [] : Array(text.utf8)
        let content = try daemon.answer("GET", "/v1/artifacts/" + DaemonAPI.escaped(digest))
        do throws(Errno) {
            let file = try Self.create(path, below: root)
            while true {
                let piece = try content.nextPiece()
                if piece.isEmpty { break }
                try file.writeAll(piece)
            }
        } catch {
            throw .file(directory + "/" + Terminal.printable(text), error)
        }
    }

    /// Creates the file and the directories on the way, one part at a time.
    private static func create(_ path: [UInt8], below root: Descriptor) throws(Errno) -> Descriptor
    {
        var parts = path.split(separator: UInt8(ascii: "/")).map { Array($0) + [0] }
        guard let name = parts.popLast(), !path.contains(0) else { throw .invalidArgument }
        var directory = root
        for part in parts where part != Array(".\0".utf8) {
            guard part != Array("..\0".utf8) else { throw .invalidArgument }
            directory = try below(directory, part)
        }
        // A file of an earlier run is replaced; unlink follows no link.
        name.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress {
                _ = unlinkat(directory.number, base.assumingMemoryBound(to: CChar.self), 0)
            }
        }
        return Descriptor(
            owning: try open(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
        )
    }

    private static func below(_ directory: Descriptor, _ part: [UInt8]) throws(Errno) -> Descriptor
    {
        part.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress {
                _ = mkdirat(directory.number, base.assumingMemoryBound(to: CChar.self), 0o755)
            }
        }
        return Descriptor(
            owning: try open(directory, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        )
    }

    private static func open(
        _ directory: Descriptor,
        _ name: [UInt8],
        _ flags: Int32
    ) throws(Errno) -> Int32 {
        try kernel {
            name.withUnsafeBytes { bytes in
                bytes.baseAddress.map {
                    openat(
                        directory.number,
                        $0.assumingMemoryBound(to: CChar.self),
                        flags | O_CLOEXEC,
                        0o644
                    )
                } ?? -1
            }
        }
    }
}

extension Response {
    /// As `next`, for a caller that only speaks in errno.
    fileprivate func nextPiece() throws(Errno) -> [UInt8] {
        do throws(ClientError) { return try next() } catch { throw .ioError }
    }
}
