// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A database of a test's own, in the server of the test run.
struct TestDatabase {
    /// The connection string; nil without a server.
    static let server = ProcessInfo.processInfo.environment["SANDBOXD_TEST_DATABASE"]

    let name: String
    /// The connection string, as `--database` takes it.
    let string: String

    init() throws {
        let server = try #require(Self.server)
        name = "test_\(UInt32.random(in: 0 ... .max))"
        string = server.replacing("dbname=postgres", with: "dbname=" + name)
        _ = try Self.psql(server, "CREATE DATABASE \(name)")
    }

    /// Runs a statement; a line a row, columns separated by `|`.
    @discardableResult
    func query(_ sql: String) throws -> [String] {
        try Self.psql(string, sql)
    }

    /// The first number of a statement's answer.
    func number(_ sql: String) throws -> Int {
        try #require(try query(sql).first.flatMap { Int($0) })
    }

    private static func psql(_ string: String, _ sql: String) throws -> [String] {
        let ending = try Program.run([
            "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", string, "-c", sql,
        ])
        try #require(ending.exitCode == 0, "\(sql): \(ending.errorText)")
        return ending.text.split(separator: "\n").map(String.init)
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs a PostgreSQL server.
    static var database: Self {
        .enabled(
            if: TestDatabase.server != nil,
            "SANDBOXD_TEST_DATABASE is not set: run scripts/test"
        )
    }
}
