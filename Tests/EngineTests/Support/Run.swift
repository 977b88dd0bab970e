// SPDX-License-Identifier: Apache-2.0

/// What a test asks the daemon to run.
struct Run: Sendable {
    var json: JSON

    /// A command line.
    init(_ arguments: [String], profile: String = "code", _ more: [String: JSON] = [:]) {
        var members: [String: JSON] = [
            "profile": .string(profile), "argv": .array(arguments.map(JSON.string)),
        ]
        members.merge(more) { $1 }
        json = .object(members)
    }

    /// A line of `sh`.
    static func shell(_ script: String, _ more: [String: JSON] = [:]) -> Run {
        Run(["sh", "-c", script], more)
    }

    /// A Python program.
    static func python(_ program: String, _ more: [String: JSON] = [:]) -> Run {
        Run(["python3", "-c", program], more)
    }

    /// The same with tighter limits.
    func limited(_ limits: [String: JSON]) -> Run {
        var copy = self
        if case .object(var members) = json {
            members["limits"] = .object(limits)
            copy.json = .object(members)
        }
        return copy
    }
}
