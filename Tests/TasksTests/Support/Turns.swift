// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How many tests have a database at once, so that each gets enough of the machine for the
/// deadlines that the queue has in production.
actor Turns {
    static let shared = Turns(max(2, 2 * sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    /// A test with a second database has its turn.
    @TaskLocal private static var hasOne = false

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    private init(_ count: Int) { free = count }

    /// Runs `body` when it is its turn; in the order of the calls.
    nonisolated func one<Value>(_ body: () async throws -> Value) async throws -> Value {
        if Self.hasOne { return try await body() }
        await enter()
        do {
            let value = try await Self.$hasOne.withValue(true) { try await body() }
            await leave()
            return value
        } catch {
            await leave()
            throw error
        }
    }

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            // Whoever leaves hands over its place.
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
