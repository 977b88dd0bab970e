// SPDX-License-Identifier: Apache-2.0
package import ArgumentParser
package import JSON

/// What a command line says of a job, whether it is run at once or queued.
package struct JobOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the command may do.", valueName: "name"))
    package var profile = "code"

    @Option(
        name: .customLong("file"),
        help: ArgumentHelp(
            "Put a file into the workspace, under its own name or as DST.",
            valueName: "src[:dst]"
        )
    )
    package var files: [String] = []

    @Option(name: .customLong("env"), help: ArgumentHelp("Set a variable.", valueName: "k=v"))
    package var environment: [String] = []

    @Option(
        help: ArgumentHelp("Seconds until the job is ended; at most the profile's.", valueName: "s")
    )
    package var timeout: Double?

    @Option(help: ArgumentHelp("Memory cap, like 256M; at most the profile's.", valueName: "size"))
    package var memory: String?

    @Option(
        help: ArgumentHelp(
            "What makes the sandbox: native or docker. Default: the profile's choice.",
            valueName: "name"
        )
    )
    package var engine: String?

    @Option(
        name: .customLong("allow"),
        help: ArgumentHelp(
            "A host and port that the job may reach, like example.com:443 or '*.example.com:443'; "
                + "can be repeated. The profile says what may be asked for.",
            valueName: "host:port"
        )
    )
    package var allowed: [String] = []

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
    package var secrets: [String] = []

    package init() {}

    /// The members of a body that say it; files are read.
    package func members(_ command: [String]) throws(ClientError) -> [String: JSONValue] {
        let input = RunInput(
            arguments: command,
            environment: environment,
            files: files,
            timeout: timeout,
            memory: memory
        )
        var members = try input.members()
        members["profile"] = .string(profile)
        if let engine { members["engine"] = .string(engine) }
        if !allowed.isEmpty { members["allow"] = .array(allowed.map(JSONValue.string)) }
        if !secrets.isEmpty { members["secrets"] = .array(secrets.map(SecretOption.member)) }
        return members
    }
}
