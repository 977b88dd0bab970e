// SPDX-License-Identifier: Apache-2.0
package import Kernel
package import SystemPackage

/// Why a sandbox could not be made, or was lost. The run's verdict is then `engine_error`.
///
/// By the time a caller sees it, nothing of the sandbox is left on the host.
package enum SpawnError: Error, Sendable {
    /// The launcher or init gave up at this step.
    case step(Step, Errno)
    /// The host refused what the daemon itself asked for.
    case host(doing: String, Errno)
    /// The host cannot meter or cap the attempt.
    case cgroup(CgroupError)
    /// The kernel applied something else than the policy says.
    case readBack([String])
    /// A program of the host's that is needed did not do its work.
    case helper(String, output: String)
    /// init or its launcher went away.
    case lost(during: String)
    /// Nothing was heard in time.
    case silent(during: String)
    /// init sent what the protocol does not allow.
    case violation(String)
    /// The job was not allowed to start.
    case notPermitted(String)
    /// The subordinate ids are all in use, or there are none.
    case ids(String)
    /// The container engine refused, failed or did not answer at this step.
    case engine(step: String, reason: String)

    /// What a launcher says of a step that failed, when it can be true.
    static func reported(step number: Int32, error: Int32) -> SpawnError {
        guard let step = Step(rawValue: number), let code = Errno(reported: error) else {
            return .violation("step \(number) failed with error \(error), and there is no such")
        }
        return .step(step, code)
    }

    /// What a result says of it.
    var evidence: [Evidence] {
        var evidence = [Evidence("step", step), Evidence("reason", description)]
        if let errno { evidence.append(Evidence("errno", UInt64(clamping: errno.rawValue))) }
        return evidence
    }

    /// A word for programs, in a verdict's evidence.
    package var step: String {
        switch self {
        case .step(let step, _): "\(step)"
        case .host: "host"
        case .cgroup: "cgroup"
        case .readBack: "readBack"
        case .helper: "helper"
        case .lost: "lost"
        case .silent: "silent"
        case .violation: "violation"
        case .notPermitted: "permission"
        case .ids: "ids"
        case .engine(let step, _): step
        }
    }

    /// The errno, when the kernel gave one.
    package var errno: Errno? {
        switch self {
        case .step(_, let code), .host(_, let code): code
        default: nil
        }
    }
}

extension SpawnError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .step(let step, let code):
            "the sandbox could not be made at step '\(step)': \(code)" + Self.mend(step, code)
        case .host(let doing, let code): "\(doing): \(code)"
        case .cgroup(let error): error.description
        case .readBack(let differences):
            "the kernel did not apply the policy: " + differences.joined(separator: "; ")
        case .helper(let name, let output): "\(name) failed: \(output)"
        case .lost(let phase): "the sandbox was lost during \(phase)"
        case .silent(let phase): "nothing was heard from the sandbox during \(phase)"
        case .violation(let what): "init broke the protocol: \(what)"
        case .notPermitted(let why): "the job was not allowed to start: \(why)"
        case .ids(let why): why
        case .engine(_, let reason): reason
        }
    }

    private static func mend(_ step: Step, _ code: Errno) -> String {
        switch step {
        case .userNamespace, .clone:
            code == .permissionDenied || code == .notPermitted
                ? " (user namespaces are restricted here: run 'sandboxd doctor')" : ""
        case .inputFile where code == .noSpace:
            " (the input files do not fit into the workspace)"
        case .inputFile where code == .fileExists:
            " (two input files have the same name, or one is the directory of another)"
        default: ""
        }
    }
}
