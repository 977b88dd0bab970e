// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import NIOCore
internal import Tasks

/// The routes of tasks and budgets. What they answer, the database words (`Tasks/Readings`).
struct TaskRoutes: Sendable {
    private static let pageLimit = 1000
    private static let blobLimit = 64 << 20
    private static let followPause = Duration.milliseconds(200)
    /// How long one follower may follow.
    private static let followLimit = Duration.seconds(24 * 3600)
    private static let states = [
        "ready", "delayed", "awaiting_approval", "running", "succeeded", "failed", "cancelled",
        "dead", "rejected",
        "expired",
    ]

    let runs: RunService
    let database: Database?
    let runner: TaskRunner?
    let callers: Callers

    // MARK: Tasks

    /// `POST /v1/tasks`: one task, or `{"tasks": […]}`.
    func create(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        try runs.checkDisk()
        let body = try await LineReader(request.body, limit: RunRoutes.bodyLimit).all()
        let submission = try await TaskSubmission(body, runs: runs, queue: queue)
        let made = try await asking { () throws(TaskError) in
            try await queue.enqueue(submission.batch)
        }
        let tasks = made.map { ["task_id": $0.task, "created": $0.isNew] as JSONObject }
        let answer = submission.isBatch ? ["tasks": tasks] as JSONObject : tasks[0]
        return try Self.response(JSONAnswer.text(answer), status: .accepted)
    }

    /// `PUT /v1/blobs`: keeps an input that tasks can name by its digest.
    func putBlob(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        try runs.checkDisk()
        let body = try await LineReader(request.body, limit: Self.blobLimit).all()
        let digest = try await asking { () throws(TaskError) in
            try await queue.putBlob(base64: Base64.encode(body))
        }
        return try JSONAnswer.response(["sha256": digest, "bytes": body.count] as JSONObject)
    }

    /// `GET /v1/tasks/{id}`.
    func show(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, id) = try await queueAndID(context)
        guard let task = try await asking({ () throws(TaskError) in try await queue.task(id) })
        else { throw APIError.noTask(String(id)) }
        return try Self.response(task)
    }

    /// `GET /v1/attempts/{id}`: the report of an attempt that has ended.
    func attempt(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        let id = context.parameters.get("id") ?? ""
        guard id.utf8.count == 32, id.utf8.allSatisfy(Self.isHex),
            let report = try await asking({ () throws(TaskError) in
                try await queue.report(ofAttempt: id)
            })
        else { throw APIError.noAttempt(id) }
        return try Self.response(report)
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// `GET /v1/tasks?state=…&before=…&limit=…`.
    func list(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        let query = request.uri.queryParameters
        let state = query["state"].map(String.init)
        if let state, !Self.states.contains(state) {
            throw APIError.invalid(
                "'state' is '\(state)' (known: \(Self.states.joined(separator: ", ")))"
            )
        }
        let before = try Self.number(query["before"], "before", 1...Int.max)
        let limit = try Self.number(query["limit"], "limit", 1...Self.pageLimit) ?? 100
        let page = try await asking { () throws(TaskError) in
            try await queue.list(state: state, before: before, limit: limit)
        }
        return try Self.response(page)
    }

    /// `GET /v1/tasks/{id}/events`: a line at each change, until the task has ended; with
    /// `output=true` also what it writes, while it runs on this node.
    func follow(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, id) = try await queueAndID(context)
        guard try await asking({ () throws(TaskError) in try await queue.state(of: id) }) != nil
        else { throw APIError.noTask(String(id)) }
        let wantsOutput = request.uri.queryParameters["output"] == "true"
        let isGone = Mailbox<Bool>()
        let body = ResponseBody { writer in
            var follower = TaskFollower(
                id,
                queue: queue,
                runner: runner,
                wantsOutput: wantsOutput
            )
            let clock = ContinuousClock()
            let end = clock.now + Self.followLimit
            while clock.now < end {
                for line in try await follower.news() {
                    try await writer.write(ByteBuffer(string: line))
                }
                // Nobody listens any more, or the daemon is to end: the task does not.
                if follower.isOver || isGone.take() != nil { break }
                if await runner?.isStopping != false { break }
                try await callers.watching(context.channel) {
                    isGone.put(true)
                } _: {
                    // No notification tells of every step of a task: the queue is asked again.
                    try await Task.sleep(for: Self.followPause)
                }
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            headers: [.contentType: "application/x-ndjson"],
            body: body
        )
    }

    /// `DELETE /v1/tasks/{id}`: cancels it.
    func cancel(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, id) = try await queueAndID(context)
        let state = try await asking { () throws(TaskError) in try await queue.cancel(task: id) }
        guard let state else { throw APIError.noTask(String(id)) }
        return try JSONAnswer.response(["task_id": id, "state": state] as JSONObject)
    }

    /// `POST /v1/tasks/{id}/retry`: brings back a task that ended badly.
    func retry(_ request: Request, _ context: CallContext) async throws -> Response {
        let (queue, id) = try await queueAndID(context)
        let state = try await asking { () throws(TaskError) in try await queue.retry(task: id) }
        guard let state else { throw APIError.noTask(String(id)) }
        return try JSONAnswer.response(["task_id": id, "state": state] as JSONObject)
    }

    // MARK: Approvals

    /// `GET /v1/approvals`: what waits for a person's word.
    func approvals(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        return try Self.response(
            try await asking { () throws(TaskError) in try await queue.approvals() }
        )
    }

    /// `POST /v1/tasks/{id}/approve`: `{"digest": …, "by": …}`.
    func approve(_ request: Request, _ context: CallContext) async throws -> Response {
        try await decide(request, context, isApproved: true)
    }

    /// `POST /v1/tasks/{id}/deny`: the same, and `why`.
    func deny(_ request: Request, _ context: CallContext) async throws -> Response {
        try await decide(request, context, isApproved: false)
    }

    private func decide(
        _ request: Request,
        _ context: CallContext,
        isApproved: Bool
    ) async throws -> Response {
        let (queue, id) = try await queueAndID(context)
        let body = try await LineReader(request.body, limit: 1 << 16).all()
        guard case .object(let members)? = JSONParser.parse(body),
            let digest = members["digest"]?.text, let person = members["by"]?.text,
            Set(members.keys).isSubset(of: ["digest", "by", "why"])
        else {
            throw APIError.invalid("give {\"digest\": …, \"by\": …}, and \"why\" when you like")
        }
        let state = try await asking { () throws(TaskError) in
            try await queue.decide(
                task: id,
                isApproved: isApproved,
                digest: digest,
                by: person,
                why: members["why"]?.text
            )
        }
        guard let state else { throw APIError.noTask(String(id)) }
        return try JSONAnswer.response(["task_id": id, "state": state] as JSONObject)
    }

    /// `POST /v1/drain`: `{"draining": true}` lets this node take no new tasks.
    func drain(_ request: Request, _ context: CallContext) async throws -> Response {
        _ = try await usableQueue()
        let body = try await LineReader(request.body, limit: 1 << 16).all()
        guard case .bool(let isDraining)? = JSONParser.parse(body)?["draining"] else {
            throw APIError.invalid("'draining' is neither true nor false")
        }
        try await asking { () throws(TaskError) in try await database?.worker.drain(isDraining) }
        return try JSONAnswer.response(["draining": isDraining] as JSONObject)
    }

    // MARK: Budgets

    /// `GET /v1/budgets`.
    func budgets(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        return try Self.response(
            try await asking { () throws(TaskError) in try await queue.budgets() }
        )
    }

    /// `GET /v1/budgets/{name}`.
    func budget(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        return try await budget(context.parameters.get("name") ?? "", queue)
    }

    /// `PUT /v1/budgets/{name}`: makes it, or changes what the body names.
    func setBudget(_ request: Request, _ context: CallContext) async throws -> Response {
        let queue = try await usableQueue()
        let name = context.parameters.get("name") ?? ""
        let body = try await LineReader(request.body, limit: 1 << 16).all()
        guard case .object = JSONParser.parse(body) else {
            throw APIError.invalid("the body is no JSON object")
        }
        try await asking { () throws(TaskError) in
            try await queue.setBudget(name, String(decoding: body, as: UTF8.self))
        }
        return try await budget(name, queue)
    }

    private func budget(_ name: String, _ queue: TaskQueue) async throws -> Response {
        guard
            let budget = try await asking({ () throws(TaskError) in try await queue.budget(name) })
        else { throw APIError.tasks(.unknownBudget("there is no budget '\(name)'")) }
        return try Self.response(budget)
    }

    // MARK: What they share

    private func usableQueue() async throws -> TaskQueue {
        guard let database else { throw APIError.noDatabase }
        try await database.readiness.wait(upTo: .seconds(10))
        return database.queue
    }

    private func queueAndID(_ context: CallContext) async throws -> (TaskQueue, Int) {
        let name = context.parameters.get("id") ?? ""
        guard let id = Int(name), id > 0 else { throw APIError.noTask(name) }
        return (try await usableQueue(), id)
    }

    private func asking<Value>(
        _ body: () async throws(TaskError) -> Value
    ) async throws(APIError) -> Value {
        do throws(TaskError) { return try await body() } catch { throw .tasks(error) }
    }

    private static func number(
        _ text: Substring?,
        _ name: String,
        _ range: ClosedRange<Int>
    ) throws(APIError) -> Int? {
        guard let text else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .invalid(
                "'\(name)' is '\(text)': give a whole number from \(range.lowerBound) to "
                    + "\(range.upperBound)"
            )
        }
        return number
    }

    private static func response(
        _ json: String,
        status: HTTPResponse.Status = .ok
    ) throws -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(string: json + "\n"))
        )
    }
}
