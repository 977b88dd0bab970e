// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON
internal import Kernel
internal import SystemPackage

/// What a task runs with: the options that `sandboxd run` has too.
struct TaskInputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the command may do.", valueName: "name"))
    var profile = "code"

    @Option(
        name: .customLong("file"),
        help: ArgumentHelp(
            "Put a file into the workspace, under its own name or as DST.",
            valueName: "src[:dst]"
        )
    )
    var files: [String] = []

    @Option(name: .customLong("env"), help: ArgumentHelp("Set a variable.", valueName: "k=v"))
    var environment: [String] = []

    @Flag(help: "Keep this command's standard input for the task.")
    var stdin = false

    @Option(
        help: ArgumentHelp(
            "Seconds until an attempt is ended; at most the profile's.",
            valueName: "s"
        )
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

    /// The members of a task's body that say it; files and standard input are read.
    func members(_ command: [String]) throws(ClientError) -> [String: JSONValue] {
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
        if stdin { members["stdin_base64"] = .string(Base64.encode(try Self.standardInput())) }
        return members
    }

    private static func standardInput() throws(ClientError) -> [UInt8] {
        do throws(Errno) {
            let content = try Descriptor(owning: 0).readAll(limit: RunInput.fileLimit + 1)
            guard content.count <= RunInput.fileLimit else { throw Errno.fileTooLarge }
            return content
        } catch {
            throw .file("standard input", error)
        }
    }
}
