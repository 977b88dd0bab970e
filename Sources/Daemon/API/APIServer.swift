// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Reaper
internal import ServiceLifecycle
internal import Tasks
internal import UnixSignals

/// A request's context: which connection it came on.
struct CallContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// The HTTP API on its Unix socket. `docs/openapi.yaml` describes it; a test holds the two together.
struct APIServer: Sendable {
    let runs: RunService
    let database: Database?
    let runner: TaskRunner?
    let reaper: Reaper
    let socket: String
    let logger: Logger

    /// Serves until SIGTERM or SIGINT.
    func run() async throws {
        let callers = Callers(allowedUsers: [0, geteuid()], logger: logger)
        let routes = RunRoutes(runs: runs, callers: callers)
        let tasks = TaskRoutes(
            runs: runs,
            database: database,
            runner: runner,
            callers: callers
        )
        let path = socket
        let log = logger
        let application = Application(
            router: Self.router(
                routes,
                InfoRoutes(runs: runs, database: database, reaper: reaper),
                tasks,
                CanaryRoutes(database: database)
            ),
            server: .http1(configuration: .init(additionalChannelHandlers: [callers.handler()])),
            configuration: .init(address: .unixDomainSocket(path: path), serverName: nil),
            onServerRunning: { _ in
                // Nobody but this user could enter: the umask made it so from birth.
                chmod(path, 0o600)
                log.info("serving", metadata: ["socket": "\(path)"])
            },
            logger: Self.quiet(logger)
        )
        // Told in reverse order: the runs first, as the server waits for its connections, which
        // wait for their runs.
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: application),
                    .init(service: RunsEnder(runs: runs, database: database, runner: runner)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Self.quiet(logger)
            )
        )
        try await group.run()
    }

    /// The server's own log lines, without its chatter.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = .warning
        return quiet
    }

    private static func router(
        _ run: RunRoutes,
        _ info: InfoRoutes,
        _ tasks: TaskRoutes,
        _ canaries: CanaryRoutes
    ) -> Router<CallContext> {
        let router = Router(context: CallContext.self)
        router.add(middleware: ErrorAnswers())
        router.post("/v1/runs", use: run.create)
        router.post("/v1/tasks", use: tasks.create)
        router.get("/v1/tasks", use: tasks.list)
        router.get("/v1/tasks/:id", use: tasks.show)
        router.get("/v1/tasks/:id/events", use: tasks.follow)
        router.post("/v1/tasks/:id/retry", use: tasks.retry)
        router.delete("/v1/tasks/:id", use: tasks.cancel)
        router.put("/v1/blobs", use: tasks.putBlob)
        router.get("/v1/budgets", use: tasks.budgets)
        router.get("/v1/budgets/:name", use: tasks.budget)
        router.put("/v1/budgets/:name", use: tasks.setBudget)
        router.get("/v1/canaries", use: canaries.list)
        router.get("/v1/canaries/:profile", use: canaries.show)
        router.put("/v1/canaries/:profile", use: canaries.set)
        router.get("/v1/canaries/:profile/report", use: canaries.report)
        router.post("/v1/comparisons", use: canaries.note)
        router.get("/v1/approvals", use: tasks.approvals)
        router.post("/v1/tasks/:id/approve", use: tasks.approve)
        router.post("/v1/tasks/:id/deny", use: tasks.deny)
        router.get("/v1/attempts/:id", use: tasks.attempt)
        router.post("/v1/drain", use: tasks.drain)
        router.get("/v1/profiles", use: info.profiles)
        router.get("/v1/status", use: info.status)
        router.get("/v1/artifacts/:sha256", use: info.artifact)
        router.get("/v1/leaks", use: info.leaks)
        router.get("/healthz", use: info.health)
        return router
    }
}

/// Cancels what runs when the server is told to stop: a graceful stop would otherwise wait for the
/// longest deadline.
private struct RunsEnder: Service {
    /// How long settlements wait for a database that does not answer.
    private static let patience = Duration.seconds(8)

    let runs: RunService
    let database: Database?
    let runner: TaskRunner?

    func run() async throws {
        try await gracefulShutdown()
        await runner?.stop()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A limit, cancelled when all runs have ended; or when the server has, and nobody
                // waits for anything any more.
                try? await Task.sleep(for: Self.patience)
                await database?.worker.abandon()
                await runner?.abandon()
            }
            await runs.stop()
            // A lease that was asked for before may be answered only now, and is given back.
            await runner?.stopped()
            group.cancelAll()
        }
    }
}

/// Every refusal as `{"error": {"code": …, "message": …}}`.
struct ErrorAnswers: RouterMiddleware {
    private struct Body: Encodable {
        struct Inner: Encodable {
            let code: String
            let message: String
        }
        let error: Inner
    }

    @concurrent
    func handle(
        _ request: Request,
        context: CallContext,
        next: @concurrent (Request, CallContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return try Self.answer(
                error.status,
                error.code,
                "\(error)",
                retryAfter: error.retryAfterSeconds
            )
        } catch let error as HTTPError {
            return try Self.answer(
                error.status,
                error.status == .notFound ? "no_route" : "http",
                error.body ?? "\(request.method) \(request.uri.path) is not served here"
            )
        }
    }

    private static func answer(
        _ status: HTTPResponse.Status,
        _ code: String,
        _ message: String,
        retryAfter: Int? = nil
    ) throws -> Response {
        let body = try JSONAnswer.bytes(Body(error: .init(code: code, message: message)))
        var headers: HTTPFields = [.contentType: "application/json"]
        if let retryAfter { headers[.retryAfter] = String(retryAfter) }
        return Response(
            status: status,
            headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}

/// JSON as this API writes it.
enum JSONAnswer {
    /// One object on one line.
    static func bytes(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// The same as text.
    static func text(_ value: some Encodable) -> String {
        do { return String(decoding: try bytes(value), as: UTF8.self) } catch {
            preconditionFailure("texts and numbers do not encode: \(error)")
        }
    }

    /// An answer that the database worded.
    static func response(json: String) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(string: json + "\n"))
        )
    }

    /// A whole answer.
    static func response(_ value: some Encodable) throws -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: try bytes(value) + [UInt8(ascii: "\n")]))
        )
    }
}
