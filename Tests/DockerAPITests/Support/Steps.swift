// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Counts requests for containers by their method, for answers that change.
final class Steps: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    /// How many of this method came before.
    func next(_ request: FakeRequest) -> Int {
        guard request.path.contains("/containers/") else { return 0 }
        return counts.withLock { counts in
            defer { counts[request.method, default: 0] += 1 }
            return counts[request.method, default: 0]
        }
    }
}
