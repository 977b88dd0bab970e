// SPDX-License-Identifier: Apache-2.0
internal import Hummingbird
internal import JSON
internal import NIOCore
internal import Tasks

/// The routes of canaries: which share of a profile's tasks goes to sandboxes, and what comes of it.
struct CanaryRoutes: Sendable {
    private static let bodyLimit = 1 << 20
    private static let defaultHours = 24.0
    private static let hoursLimit = 24.0 * 3650

    let database: Database?

    /// `GET /v1/canaries`.
    func list(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        do throws(TaskError) { return JSONAnswer.response(json: try await queue.canaries()) } catch
        {
            throw APIError.tasks(error)
        }
    }

    /// `GET /v1/canaries/{profile}`; one that was never set is 100.
    func show(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, profile) = try await queueAndProfile(context)
        return try await answer(profile) { () throws(TaskError) in
            try await queue.canary(profile)
        }
    }

    /// `PUT /v1/canaries/{profile}`: changes what the body names, and moves what waits.
    func set(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, profile) = try await queueAndProfile(context)
        let body = try await LineReader(request.body, limit: Self.bodyLimit).all()
        guard case .object = JSONParser.parse(body) else {
            throw APIError.invalid("the body is no JSON object")
        }
        do throws(TaskError) {
            let moved = try await queue.setCanary(profile, String(decoding: body, as: UTF8.self))
            let canary = try await queue.canary(profile) ?? "{}"
            return JSONAnswer.response(json: "{\"moved\":\(moved),\"canary\":\(canary)}")
        } catch {
            throw APIError.tasks(error)
        }
    }

    /// `GET /v1/canaries/{profile}/report?hours=…`.
    func report(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, profile) = try await queueAndProfile(context)
        let text = request.uri.queryParameters["hours"]
        let hours = try text.map { text throws(APIError) in
            guard let hours = Double(text), hours > 0, hours <= Self.hoursLimit else {
                throw .invalid("'hours' is '\(text.prefix(40))': give hours, more than 0")
            }
            return hours
        }
        return try await answer(profile) { () throws(TaskError) in
            try await queue.canaryReport(profile, hours: hours ?? Self.defaultHours)
        }
    }

    /// `POST /v1/comparisons`: a run and its shadow, as a caller saw them.
    func note(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        let body = try await LineReader(request.body, limit: Self.bodyLimit).all()
        let comparison = try ComparisonBody.checked(body)
        do throws(TaskError) { try await queue.note(comparison: comparison) } catch {
            throw APIError.tasks(error)
        }
        return try JSONAnswer.response(["kept": true])
    }

    private func answer(
        _ profile: String,
        _ read: () async throws(TaskError) -> String?
    ) async throws -> Response {
        do throws(TaskError) {
            if let json = try await read() { return JSONAnswer.response(json: json) }
        } catch {
            throw APIError.tasks(error)
        }
        throw APIError.tasks(.unknownProfile("there is no profile '\(profile)'"))
    }

    private func usableQueue() async throws -> TaskQueue {
        guard let database else { throw APIError.noDatabase }
        try await database.readiness.wait(upTo: .seconds(10))
        return database.queue
    }

    private func queueAndProfile(_ context: CallContext) async throws -> (TaskQueue, String) {
        (try await usableQueue(), context.parameters.get("profile") ?? "")
    }
}

/// What `POST /v1/comparisons` takes.
private enum ComparisonBody {
    private static let keys: Set<String> = [
        "profile", "task_key", "counted", "shadow", "counted_place", "shadow_place", "differences",
        "shadow_attempt", "missed",
    ]

    /// The body as the database takes it, or a refusal that names what is wrong.
    static func checked(_ bytes: [UInt8]) throws(APIError) -> String {
        guard case .object(let members)? = JSONParser.parse(bytes) else {
            throw .invalid("the body is no JSON object")
        }
        if let unknown = members.keys.sorted().first(where: { !keys.contains($0) }) {
            throw .invalid("a comparison has no key '\(unknown.prefix(40))'")
        }
        for key in ["profile", "counted_place", "shadow_place"] where members[key]?.text == nil {
            throw .invalid("'\(key)' is missing or no text")
        }
        for key in ["counted", "shadow"] {
            guard case .object? = members[key] else {
                throw .invalid("'\(key)' is missing or no object")
            }
        }
        guard case .array(let lines)? = members["differences"],
            lines.count <= 100, lines.allSatisfy({ $0.text != nil })
        else { throw .invalid("'differences' is no list of at most 100 texts") }
        if case .object(let missed)? = members["missed"] {
            guard missed.values.allSatisfy({ $0.int.map { $0 > 0 } ?? false }) else {
                throw .invalid("'missed' has something else than counts")
            }
        }
        return String(decoding: JSONValue.object(members).bytes, as: UTF8.self)
    }
}
