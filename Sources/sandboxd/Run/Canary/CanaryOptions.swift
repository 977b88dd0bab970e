// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import JSON

/// Whether a command goes to the sandbox, and whether it also goes to the other side.
struct CanaryOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The share of tasks that go to the sandbox, by their ids; the others run on this host, "
                + "unchanged, as if sandboxd were not there. 'stored' is what 'sandboxd canary set' "
                + "says for the profile.",
            valueName: "percent"
        )
    )
    var canary: String?

    @Option(
        help: ArgumentHelp(
            "The task's own id, for --canary: the same id always goes to the same side.",
            valueName: "id"
        )
    )
    var taskID: String?

    @Flag(
        help: ArgumentHelp(
            "Run it on this host, which counts, and in a sandbox beside it; how the two differ "
                + "is in 'sandboxd canary report'. With --canary: for tasks that stay on this host."
        )
    )
    var shadow = false

    @Option(
        help: ArgumentHelp(
            "Run it by this engine too, beside the one that counts, and compare.",
            valueName: "name"
        )
    )
    var shadowEngine: String?

    /// Where the run that counts takes place.
    enum Side {
        case sandbox
        case host
    }

    /// Decides, or refuses; nothing has been run by then.
    func side(profile: String, _ daemon: DaemonAPI) throws(ClientError) -> Side {
        guard let canary else {
            return shadow ? .host : .sandbox
        }
        guard let taskID else {
            throw .usage(
                "--canary needs --task-id: the id decides, and the same id always goes the same way"
            )
        }
        try Canary.checkID(taskID)
        let share = canary == "stored" ? try stored(profile, daemon) : try Canary(canary)
        return share.takes(taskID) ? .sandbox : .host
    }

    /// Unreadable is not zero: who cannot know where a task belongs runs it nowhere.
    private func stored(_ profile: String, _ daemon: DaemonAPI) throws(ClientError) -> Canary {
        do throws(ClientError) {
            let answer = try daemon.value("GET", "/v1/canaries/" + DaemonAPI.escaped(profile))
            guard let percent = answer["percent"]?.text else { throw .notHTTP }
            return try Canary(percent)
        } catch {
            throw .canaryUnknown(profile: profile, "\(error)")
        }
    }
}
