// SPDX-License-Identifier: Apache-2.0

/// What a task is after one of its attempts has ended. The numbers are `tasks.state` in the database.
package enum TaskFate: Int, Sendable, CaseIterable {
    /// It comes back: at once after a snooze, else after a pause.
    case open = 0
    case succeeded = 1
    /// It failed in a way that is not tried again.
    case failed = 2
    case cancelled = 3
    /// It failed in a way that is tried again, as often as it may. Only a person brings it back.
    case dead = 4
    /// Its budget can never pay for it.
    case rejected = 5
    /// Its deadline passed.
    case expired = 6

    /// The word in the API and in the view `task_queue`.
    package var word: String { "\(self)" }

    /// Verdicts after which a task is tried again when it does not say anything else: those that the
    /// job cannot help.
    package static let retriedByDefault: Set<String> = ["engine_error", "lease_lost"]

    /// Decides. The same table as the SQL function `sandboxd.fate`, which decides in production; a
    /// test holds the two together.
    package static func after(
        verdict: String,
        isCancelled: Bool,
        retryOn: Set<String>? = nil,
        attempt: Int,
        of maximum: Int,
        isPastDeadline: Bool
    ) -> TaskFate {
        if verdict == "ok" { return .succeeded }
        if isCancelled || verdict == "cancelled" { return .cancelled }
        if verdict == "snoozed" { return .open }
        guard (retryOn ?? retriedByDefault).contains(verdict) else { return .failed }
        if attempt >= maximum { return .dead }
        return isPastDeadline ? .expired : .open
    }
}
