// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// The limits of one call that takes several requests: its deadline is for all of them.
struct CallBudget {
    let call: DockerError.Call
    private let limits: CallLimits
    private let end: Instant

    /// The time runs from now on.
    init(_ call: DockerError.Call, _ limits: CallLimits) {
        self.call = call
        self.limits = limits
        end = Instant.now.advanced(by: limits.deadline)
    }

    /// The limits of the next request. Throws when the time is over.
    func rest() throws(DockerError) -> CallLimits {
        let now = Instant.now
        guard now < end else { throw DockerError(call, .late(after: limits.deadline)) }
        var rest = limits
        rest.deadline = .milliseconds(Int(end.milliseconds(since: now).rounded(.up)))
        return rest
    }

    /// An error of one of the requests, as the whole call's: its time is what the caller gave.
    func whole(_ error: DockerError) -> DockerError {
        guard case .late = error.reason else { return DockerError(call, error.reason) }
        return DockerError(call, .late(after: limits.deadline))
    }
}
