// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import JSON
internal import Spawner
internal import Tasks

/// The body of `POST /v1/tasks`, checked as far as this node can, and as the database takes it.
///
/// A task is written as a run is, with a few keys more; those are the queue's, the rest is its spec.
struct TaskSubmission: Sendable {
    private static let queueKeys: Set<String> = [
        "profile", "budget", "key", "priority", "run_at", "max_attempts", "retry_on",
        "deadline_at", "pool",
    ]
    /// How many tasks one body may hold.
    private static let batchLimit = 10_000
    /// From here on, an input is kept as a blob of its own; and so is one that would make all of a
    /// task's that are kept with it more than a spec has room for.
    private static let inlineLimit = 4096
    private static let inlineTotalLimit = 24 << 10

    /// The list that `enqueue_many` takes.
    let batch: String
    /// Whether the body was a batch, and the answer is to be one.
    let isBatch: Bool

    init(_ body: [UInt8], runs: RunService, queue: TaskQueue) async throws {
        // The strict reader first: what it lets through, the quick one reads.
        do {
            _ = try JSONDecoder().decode(AnyJSON.self, from: Data(body))
        } catch {
            throw APIError.invalid("the body is not JSON")
        }
        guard let value = JSONParser.parse(body), case .object(let members) = value else {
            throw APIError.invalid("the body is no JSON object, or nests too deeply")
        }
        var tasks = [value]
        isBatch = members["tasks"] != nil
        if let list = members["tasks"] {
            guard members.count == 1, case .array(let elements) = list, !elements.isEmpty else {
                throw APIError.invalid("a batch is {\"tasks\": [...]}, with one task at least")
            }
            tasks = elements
        }
        guard tasks.count <= Self.batchLimit else {
            throw APIError.invalid(
                "the batch has \(tasks.count) tasks, and \(Self.batchLimit) fit: send several"
            )
        }
        var entries: [JSONValue] = []
        for (index, task) in tasks.enumerated() {
            do { entries.append(try await Self.entry(task, runs, queue)) } catch {
                guard isBatch, case APIError.invalid(let why) = error else { throw error }
                throw APIError.invalid("task \(index + 1) of the batch: \(why)")
            }
        }
        batch = String(decoding: JSONValue.array(entries).bytes, as: UTF8.self)
    }

    private static func entry(
        _ task: JSONValue,
        _ runs: RunService,
        _ queue: TaskQueue
    ) async throws -> JSONValue {
        guard case .object(let members) = task else {
            throw APIError.invalid("a task is a JSON object")
        }
        guard let profile = members["profile"]?.text else {
            throw APIError.invalid("'profile' is missing or no text")
        }
        var spec = members.filter { !queueKeys.contains($0.key) }
        try check(.object(spec), profile, runs)
        var entry = members.filter { queueKeys.contains($0.key) }
        let blobs = try await moveInputs(of: &spec, queue)
        if !blobs.isEmpty { entry["blobs"] = .array(blobs.map(JSONValue.string)) }
        entry["spec"] = .object(spec)
        return .object(entry)
    }

    /// Whether it could run: refused now, it need not be refused by every node later.
    private static func check(
        _ spec: JSONValue,
        _ profile: String,
        _ runs: RunService
    ) throws {
        let decoder = JSONDecoder()
        decoder.userInfo[.profile] = profile
        let run: RunSpec
        do {
            run = try decoder.decode(RunSpec.self, from: Data(spec.bytes))
        } catch let error as DecodingError {
            throw APIError.invalid(DecodingReason.text(error))
        }
        guard run.input != .streamed else {
            throw APIError.invalid("a task cannot have 'stdin_stream': nobody is there to send it")
        }
        try runs.check(run)
    }

    /// Puts large inputs, and texts that the database could not keep, into blobs.
    private static func moveInputs(
        of spec: inout [String: JSONValue],
        _ queue: TaskQueue
    ) async throws -> [String] {
        // Those that the caller has put there by himself come first.
        var blobs = [spec["stdin_sha256"]?.text].compactMap { $0 }
        for case .object(let file) in spec["files"]?.elements ?? [] {
            if let digest = file["sha256"]?.text { blobs.append(digest) }
        }
        var inlineBytes = 0
        func staysInline(_ text: String) -> Bool {
            // As it is kept, with its escapes.
            let count = JSONValue.string(text).bytes.count
            let fits = count <= inlineLimit && inlineBytes + count <= inlineTotalLimit
            inlineBytes += fits ? count : 0
            return fits
        }
        func moved(_ text: JSONValue?, _ base64: JSONValue?) async throws -> String? {
            let content: String
            if let base64 = base64?.text {
                if staysInline(base64) { return nil }
                content = base64
            } else if let text = text?.text {
                if !text.utf8.contains(0), staysInline(text) { return nil }
                content = Base64.encode(Array(text.utf8))
            } else {
                return nil
            }
            do throws(TaskError) {
                let digest = try await queue.putBlob(base64: content)
                blobs.append(digest)
                return digest
            } catch {
                throw APIError.tasks(error)
            }
        }
        if let digest = try await moved(spec["stdin"], spec["stdin_base64"]) {
            spec["stdin"] = nil
            spec["stdin_base64"] = nil
            spec["stdin_sha256"] = .string(digest)
        }
        if case .array(let files)? = spec["files"] {
            var kept: [JSONValue] = []
            for case .object(var file) in files {
                if let digest = try await moved(file["text"], file["base64"]) {
                    file["text"] = nil
                    file["base64"] = nil
                    file["sha256"] = .string(digest)
                }
                kept.append(.object(file))
            }
            spec["files"] = .array(kept)
        }
        return blobs
    }
}

/// Any JSON: decodes when it is some.
private struct AnyJSON: Decodable {
    init(from decoder: any Decoder) throws {
        _ = try decoder.singleValueContainer()
    }
}
