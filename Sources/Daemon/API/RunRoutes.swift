// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Spawner

/// `POST /v1/runs`.
struct RunRoutes: Sendable {
    /// What a body may hold: the largest input that a profile can take, in base64, and some more.
    static let bodyLimit = 128 << 20
    /// One line of a streamed body after the first.
    private static let lineLimit = 2 << 20

    let runs: RunService
    let callers: Callers

    /// Runs what the body says. The answer is one object with `Accept: application/json`, else
    /// events, one a line, as they happen.
    func create(_ request: Request, _ context: CallContext) async throws -> Response {
        let wantsObject = request.headers[.accept]?.contains("application/json") ?? false
        let lines = LineReader(request.body, limit: Self.bodyLimit)
        let isStreamed = request.headers[.contentType]?.contains("ndjson") ?? false
        let first = isStreamed ? try await lines.next() ?? [] : try await lines.all()
        let spec = try Self.decode(first)
        guard spec.input != .streamed || isStreamed else {
            throw APIError.invalid(
                "'stdin_stream' needs a body of Content-Type application/x-ndjson"
            )
        }
        try runs.checkApproval(spec)
        let payer = try Self.payer(spec, hasLedger: runs.ledger != nil)
        let ticket = RunTicket(try await runs.admit(spec, isLive: !wantsObject), payer, runs)
        do { try await ticket.begun() } catch let known as KnownKey {
            return try await answer(known, wantsObject: wantsObject)
        }
        let input = spec.input == .streamed ? lines : nil
        if wantsObject {
            let result = await run(ticket, context, input: input)
            return try JSONAnswer.response(RunReport.object(result))
        }
        return Response(
            status: .ok,
            headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                try await stream(ticket, context, input: input, to: &writer)
            }
        )
    }

    /// Who pays, and what is written down of the request.
    private static func payer(_ spec: RunSpec, hasLedger: Bool) throws(APIError) -> Payer? {
        guard hasLedger else {
            guard spec.budget == nil, spec.key == nil else {
                throw .invalid("'budget' and 'key' need a database, and this daemon has none")
            }
            return nil
        }
        return Payer(budget: spec.budget ?? "default", key: spec.key, spec: spec.noted)
    }

    /// A run that was asked for before: what became of it then.
    private func answer(_ known: KnownKey, wantsObject: Bool) async throws -> Response {
        guard let ledger = runs.ledger else { throw APIError.noDatabase }
        let report = try await ledger.report(of: known.task)
        let body = wantsObject ? report : "{\"event\":\"result\",\"result\":\(report)}"
        return Response(
            status: .ok,
            headers: [
                .contentType: wantsObject ? "application/json" : "application/x-ndjson"
            ],
            body: .init(byteBuffer: ByteBuffer(string: body + "\n"))
        )
    }

    private static func decode(_ bytes: [UInt8]) throws -> RunSpec {
        do {
            return try JSONDecoder().decode(RunSpec.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw APIError.invalid(DecodingReason.text(error))
        }
    }

    /// Runs to the end; the caller's going away cancels.
    private func run(
        _ ticket: RunTicket,
        _ context: CallContext,
        input: LineReader?
    ) async -> RunResult {
        let sandbox = ticket.sandbox
        return await callers.watching(context.channel) {
            sandbox.cancelSoon()
        } _: {
            await withTaskGroup(of: Void.self) { group in
                if let input { group.addTask { await Self.feed(input, to: sandbox) } }
                let result = await ticket.result()
                group.cancelAll()
                return result
            }
        }
    }

    @concurrent
    private func stream(
        _ ticket: RunTicket,
        _ context: CallContext,
        input: LineReader?,
        to writer: inout any ResponseBodyWriter
    ) async throws {
        let sandbox = ticket.sandbox
        try await writer.write(try RunEvent.started(ticket.attempt).line())
        let result = Mailbox<RunResult>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await result.put(run(ticket, context, input: input)) }
            do {
                while true {
                    let chunks = await sandbox.nextOutput()
                    if chunks.isEmpty { break }
                    for chunk in chunks {
                        try await writer.write(try RunEvent.output(chunk).line())
                    }
                }
            } catch {
                // The caller is gone; the run ends before this does.
                await sandbox.cancel()
                throw error
            }
            try await group.waitForAll()
        }
        for chunk in await sandbox.restOfOutput() {
            try await writer.write(try RunEvent.output(chunk).line())
        }
        if let result = result.take() {
            try await writer.write(try RunEvent.result(result).line())
        }
        try await writer.finish(nil)
    }

    /// Standard input, one `{"stdin": "<base64>"}` a line, until the body ends.
    private static func feed(_ lines: LineReader, to sandbox: Sandbox) async {
        lines.limit = lineLimit
        struct Piece: Decodable { let stdin: String }
        do {
            while let line = try await lines.next() {
                let piece = try JSONDecoder().decode(Piece.self, from: Data(line))
                await sandbox.feed(try Base64.decode(piece.stdin, key: "'stdin'"))
            }
        } catch {
            // A broken line, or a caller who is gone: the job sees the end of its input, and the
            // connection's own end cancels the run.
        }
        await sandbox.endInput()
    }
}

extension Sandbox {
    /// Cancels from where one cannot wait.
    nonisolated func cancelSoon() {
        // Unstructured: a closing connection has no task that could wait. It ends at once.
        Task { await self.cancel() }
    }
}
