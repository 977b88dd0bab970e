// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc

/// `sandboxd run`: one command in one sandbox.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        // Read by itself (Main.swift), it looks for no completion script to be written.
        _superCommandName: "sandboxd",
        abstract: "Runs a command in a sandbox made for it, and destroys the sandbox.",
        usage: "sandboxd run [options] -- command [argument ...]",
        discussion: """
            Standard output and error come out as they happen. The exit status is the command's own; \
            128+n when signal n killed it; 124 at the deadline (wall or CPU time); 125 when \
            sandboxd itself failed, could not read its input or write the output, or ended the run \
            for another cap or because it was cancelled; 126 when the command cannot be executed; \
            127 when it is not there; 137 when it ran out of memory; 159 when the system call \
            filter killed it; 64 for a wrong option.
            """
    )

    @OptionGroup var job: JobOptions

    @Flag(help: "Give this command's standard input to the sandboxed one.")
    var stdin = false

    @Option(
        help: ArgumentHelp(
            "Where the files that the command leaves in /workspace/out are put.",
            valueName: "dir"
        )
    )
    var out: String?

    @Option(help: ArgumentHelp("The budget that pays. Default: default.", valueName: "name"))
    var budget: String?

    @Option(
        help: ArgumentHelp(
            "Your name for this run: asked for again, it is not done again, and what came of "
                + "it is printed.",
            valueName: "key"
        )
    )
    var key: String?

    @Flag(help: "Say at the end which system calls were refused.")
    var explain = false

    @Flag(help: "Print one JSON object with everything, instead of the output.")
    var json = false

    @Flag(help: "No summary on standard error.")
    var quiet = false

    @Option(help: ArgumentHelp("The daemon's socket.", valueName: "path"))
    var socket: String?

    @OptionGroup(title: "Moving over from the host")
    var canary: CanaryOptions

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    func run() throws {
        do {
            guard !command.isEmpty else {
                throw ClientError.usage("say what to run: sandboxd run [options] -- command")
            }
            let side = try canary.side(profile: job.profile, DaemonAPI(socket: socket))
            if side == .host { throw ExitCode(try HostSession(self).run()) }
            Terminal.keepClosed()
            // The daemon's end of the connection may close first; the read says so. Only now: a
            // command on this host has its signals as they were.
            signal(SIGPIPE, SIG_IGN)
            // All output is written. For a status that is thrown the library prepares its help.
            Glibc.exit(try RunSession(self).run())
        } catch let error as ClientError {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}
