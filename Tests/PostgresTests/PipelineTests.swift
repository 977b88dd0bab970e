// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct PipelineTests {
    private let first = Statement("first", "SELECT 1")
    private let rows = Rows(columns: [], cells: [], rowCount: 0, affected: 7)
    private let refusal = PostgresError.server(sqlState: "42P01", message: "no", detail: nil)

    private func pipeline() -> Pipeline {
        Pipeline(limit: 3, byteLimit: 10)
    }

    private func settled(_ step: Pipeline.Step) -> (UInt64, Result<Int, PostgresError>)? {
        guard case .settled(let id, let result) = step else { return nil }
        return (id, result.map(\.affected))
    }

    @Test("a statement is prepared before its first use only")
    func preparesOnce() throws {
        var pipeline = pipeline()
        _ = try pipeline.ask(first, ["a"])
        _ = try pipeline.ask(first, ["b"])
        #expect(
            pipeline.nextToSend() == .statement(first, parameters: ["a"], prepareFirst: true)
        )
        #expect(
            pipeline.nextToSend() == .statement(first, parameters: ["b"], prepareFirst: false)
        )
        #expect(pipeline.nextToSend() == nil)
    }

    @Test("a statement is settled at its synchronization point, not before")
    func settles() throws {
        var pipeline = pipeline()
        let id = try pipeline.ask(first, [])
        _ = pipeline.nextToSend()
        for reply in [.rows(rows), nil, .rows(rows), nil] as [Reply?] {
            #expect(settled(pipeline.take(reply)) == nil)
        }
        let settlement = try #require(settled(pipeline.take(.synchronized)))
        #expect(settlement.0 == id)
        #expect(settlement.1 == .success(7))
        #expect(pipeline.isEmpty)
    }

    @Test("what the commit refuses is refused, whatever the statement answered")
    func commitRefused() throws {
        var pipeline = pipeline()
        _ = try pipeline.ask(first, [])
        _ = pipeline.nextToSend()
        for reply in [.rows(rows), nil, .rows(rows), nil, .refused(refusal)] as [Reply?] {
            _ = pipeline.take(reply)
        }
        #expect(settled(pipeline.take(.synchronized))?.1 == .failure(refusal))
    }

    @Test("a statement whose preparation was refused is prepared again")
    func preparesAgain() throws {
        var pipeline = pipeline()
        _ = try pipeline.ask(first, [])
        _ = pipeline.nextToSend()
        for reply in [.refused(refusal), nil, .skipped, nil] as [Reply?] {
            _ = pipeline.take(reply)
        }
        #expect(settled(pipeline.take(.synchronized))?.1 == .failure(refusal))
        _ = try pipeline.ask(first, [])
        #expect(pipeline.nextToSend() == .statement(first, parameters: [], prepareFirst: true))
    }

    @Test("a script waits for what was sent, and holds up what comes after")
    func scriptAlone() throws {
        var pipeline = pipeline()
        _ = try pipeline.ask(first, [])
        let script = try pipeline.ask(script: "x")
        _ = try pipeline.ask(first, [])
        _ = pipeline.nextToSend()
        #expect(pipeline.nextToSend() == nil)
        for reply in [.rows(rows), nil, .rows(rows), nil, .synchronized] as [Reply?] {
            _ = pipeline.take(reply)
        }
        #expect(pipeline.nextToSend() == .script("x"))
        #expect(pipeline.nextToSend() == nil)
        _ = pipeline.take(.rows(rows))
        guard case .scriptEnded = pipeline.take(nil) else {
            Issue.record("the script goes on")
            return
        }
        #expect(pipeline.endScript().id == script)
        #expect(pipeline.nextToSend() == .statement(first, parameters: [], prepareFirst: false))
    }

    @Test("statements and their bytes are limited, and one large one may go alone")
    func limits() throws {
        var pipeline = pipeline()
        _ = try pipeline.ask(first, ["more than ten bytes"])
        #expect(throws: PostgresError.full(limit: 3)) { try pipeline.ask(first, ["a"]) }
        _ = try pipeline.ask(first, [])
        _ = try pipeline.ask(first, [])
        #expect(throws: PostgresError.full(limit: 3)) { try pipeline.ask(first, []) }
    }

    @Test("at the end, what was sent is lost and what was not is refused")
    func end() throws {
        var pipeline = pipeline()
        let sent = try pipeline.ask(first, [])
        let script = try pipeline.ask(script: "x")
        _ = pipeline.nextToSend()
        #expect(pipeline.end("why") == [sent: .lost("why"), script: .notConnected("why")])
        #expect(pipeline.isEmpty)
    }
}
