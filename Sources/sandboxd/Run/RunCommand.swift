// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc

/// `sandboxd run`: one command in one sandbox.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
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

    @Option(help: ArgumentHelp("What the command may do.", valueName: "name"))
    var profile = "code"

    @Flag(help: "Give this command's standard input to the sandboxed one.")
    var stdin = false

    @Option(
        name: .customLong("file"),
        help: ArgumentHelp(
            "Put a file into the workspace, under its own name or as DST.",
            valueName: "src[:dst]"
        )
    )
    var files: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the files that the command leaves in /workspace/out are put.",
            valueName: "dir"
        )
    )
    var out: String?

    @Option(name: .customLong("env"), help: ArgumentHelp("Set a variable.", valueName: "k=v"))
    var environment: [String] = []

    @Option(
        help: ArgumentHelp("Seconds until the run is ended; at most the profile's.", valueName: "s")
    )
    var timeout: Double?

    @Option(help: ArgumentHelp("Memory cap, like 256M; at most the profile's.", valueName: "size"))
    var memory: String?

    @Option(
        help: ArgumentHelp(
            "What makes the sandbox: native or docker. Default: the profile's choice.",
            valueName: "name"
        )
    )
    var engine: String?

    @Option(
        name: .customLong("allow"),
        help: ArgumentHelp(
            "A host and port that the run may reach, like example.com:443 or '*.example.com:443'; "
                + "can be repeated. The profile says what may be asked for.",
            valueName: "host:port"
        )
    )
    var allowed: [String] = []

    @Option(
        name: .customLong("secret"),
        help: ArgumentHelp(
            "A secret of the daemon's: NAME as the file .secrets/NAME; NAME=HOST:PORT/HEADER in that "
                + "header of plain requests to there, unseen by the sandbox, and with "
                + "NAME=https://HOST:PORT/HEADER the proxy sends those on over TLS. Can be "
                + "repeated. The profile says what may be asked for.",
            valueName: "name"
        )
    )
    var secrets: [String] = []

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
            let side = try canary.side(profile: profile, DaemonAPI(socket: socket))
            if side == .host { throw ExitCode(try HostSession(self).run()) }
            Terminal.keepClosed()
            // The daemon's end of the connection may close first; the read says so. Only now: a
            // command on this host has its signals as they were.
            signal(SIGPIPE, SIG_IGN)
            throw ExitCode(try RunSession(self).run())
        } catch let error as ClientError {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}
