// SPDX-License-Identifier: Apache-2.0

/// What `sandboxd --help` says of the commands of `sandboxd-tools`.
enum Tools {
    enum Submit: ToolsCommand {
        static let name = "submit"
        static let abstract = "Puts tasks into the queue."
    }

    enum Tasks: ToolsCommand {
        static let name = "tasks"
        static let abstract = "Lists tasks, newest first."
    }

    enum Task: ToolsCommand {
        static let name = "task"
        static let abstract = "Shows one task and its attempts."
    }

    enum Cancel: ToolsCommand {
        static let name = "cancel"
        static let abstract = "Cancels tasks."
    }

    enum Retry: ToolsCommand {
        static let name = "retry"
        static let abstract = "Brings back tasks that ended badly."
    }

    enum Logs: ToolsCommand {
        static let name = "logs"
        static let abstract = "Prints the output of a task's last attempt."
    }

    enum Artifacts: ToolsCommand {
        static let name = "artifacts"
        static let abstract = "Lists or saves the files that a task left."
    }

    enum Budget: ToolsCommand {
        static let name = "budget"
        static let abstract = "Shows budgets and sets them."
    }

    enum Canary: ToolsCommand {
        static let name = "canary"
        static let abstract = "Moves work between the host and sandboxes, by a percentage."
    }

    enum Explain: ToolsCommand {
        static let name = "explain"
        static let abstract = "Says what an attempt was denied, and what would allow it."
    }

    enum Approvals: ToolsCommand {
        static let name = "approvals"
        static let abstract = "Lists tasks that wait for an approval."
    }

    enum Approve: ToolsCommand {
        static let name = "approve"
        static let abstract = "Lets a task run that waits for an approval."
    }

    enum Deny: ToolsCommand {
        static let name = "deny"
        static let abstract = "Ends a task that waits for an approval."
    }

    enum Drain: ToolsCommand {
        static let name = "drain"
        static let abstract = "Lets this node take no new tasks."
    }

    enum Policy: ToolsCommand {
        static let name = "policy"
        static let abstract = "Checks profiles, and shows what they come to."
    }

    enum Profile: ToolsCommand {
        static let name = "profile"
        static let abstract = "Makes profiles from what runs need."
    }

    enum Image: ToolsCommand {
        static let name = "image"
        static let abstract = "Builds, lists and removes the images that sandboxes run in."
    }

    enum Setup: ToolsCommand {
        static let name = "setup"
        static let abstract = "Prepares this machine, as root; idempotent."
    }

    enum Doctor: ToolsCommand {
        static let name = "doctor"
        static let abstract = "Checks what this machine has, and names what is missing."
    }
}
