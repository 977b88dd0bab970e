// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import FoundationEssentials
internal import Spawner
internal import Tasks

extension RunSpec {
    /// What is written down of a direct run: what was asked for, without its input.
    var noted: String {
        var hash = SHA256()
        if case .bytes(let bytes) = input { hash.update(data: bytes) }
        for file in files {
            hash.update(data: Data("\(file.path)\0\(file.mode)\0\(file.content.count)\0".utf8))
            hash.update(data: file.content)
        }
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
            hash.update(data: Data("\(name)\0\(value)\0".utf8))
        }
        let digest = hash.finalize().map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }

        let object: JSONObject = [
            "argv": argv, "cwd": workingDirectory,
            "files": files.map(\.path).sorted(), "env": environment.keys.sorted(),
            "input_sha256": digest.joined(), "allow": allow.map { "\($0)" },
            "secrets": secrets.map(\.noted),
        ]
        return JSONAnswer.text(object)
    }

    /// The spec of a leased task.
    static func task(_ lease: Lease) throws -> RunSpec {
        let decoder = JSONDecoder()
        decoder.userInfo[.profile] = lease.profile
        do {
            return try decoder.decode(RunSpec.self, from: Data(lease.spec.utf8))
        } catch let error as DecodingError {
            throw APIError.invalid(DecodingReason.text(error))
        }
    }

    /// Fetches what the spec names by digest.
    mutating func loadBlobs(from queue: TaskQueue) async throws {
        if let digest = inputDigest {
            input = .bytes(try await Self.blob(digest, queue))
        }
        for index in files.indices {
            guard let digest = files[index].digest else { continue }
            files[index].content = try await Self.blob(digest, queue)
        }
    }

    private static func blob(_ digest: String, _ queue: TaskQueue) async throws -> [UInt8] {
        let encoded: String?
        do throws(TaskError) { encoded = try await queue.blob(sha256: digest) } catch {
            throw APIError.tasks(error)
        }
        guard let encoded else { throw APIError.invalid("the input \(digest) is not there") }
        // PostgreSQL breaks base64 into lines.
        return try Base64.decode(encoded.filter { $0 != "\n" }, key: "a blob")
    }
}
