// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON
internal import Policy
internal import SystemPackage

/// `sandboxd policy show`: a policy for a person, for the kernel, or for a program.
struct PolicyShow: ParsableCommand {
    /// In which form.
    enum Form: String, EnumerableFlag {
        case prose
        case bpf
        case docker
        case json

        static func help(for value: Form) -> ArgumentHelp? {
            switch value {
            case .prose: "In words (the default)."
            case .bpf: "The system call filter, disassembled."
            case .docker: "What a Docker engine is asked for, with words for what a run fills in."
            case .json: "All of it as JSON."
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows what jobs of a profile may do."
    )

    @Argument(help: ArgumentHelp("The profile's name.", valueName: "name"))
    var name: String

    @Flag(exclusivity: .exclusive)
    var form = Form.prose

    @OptionGroup var options: ProfileOptions

    func run() throws {
        do {
            let policy = try options.store().policy(named: name)
            switch form {
            case .prose: print(PolicyProse.render(policy), terminator: "")
            case .bpf: print(try policy.seccompProgram().disassembly(), terminator: "")
            case .docker: print(String(decoding: policy.containerExample().bytes, as: UTF8.self))
            case .json: print(policy.json(), terminator: "")
            }
        } catch {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}

/// Which profiles a command works on.
struct ProfileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The directory with the profiles.",
            discussion: "Default: beside the program or above it, or /etc/sandboxd/profiles.",
            valueName: "dir"
        )
    )
    var profiles: String?

    /// The directory with the profiles.
    func directory() throws(Errno) -> String {
        if let profiles { return profiles }
        return try Installation().profiles
    }

    /// Loads all of them.
    func store() throws -> ProfileStore {
        try ProfileStore(directory: try directory())
    }
}
