// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Becomes another program of ours that lies beside this one, with the same process id.
///
/// The other commands are programs of their own, so that their libraries cost `sandboxd run`
/// nothing at its start (docs/decisions/0003).
enum Handover {
    static func become(_ program: String, _ arguments: [String]) throws(ExitCode) -> Never {
        do throws(Errno) {
            let own = try KernelFile.link("/proc/self/exe")
            let directory = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
            let path = directory + "/" + program
            _ = try kernel { ArgumentVector.with([program] + arguments) { execv(path, $0) } }
        } catch {
            Terminal.say(
                "sandboxd: cannot start \(program): \(error) (it belongs beside this program: "
                    + "build both with 'make build', or install both)"
            )
        }
        throw ExitCode(125)
    }
}

/// `sandboxd db`: the daemon's program knows databases.
struct DatabaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "db",
        abstract: "Looks after the schema of a database of yours."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-daemon", ["db"] + arguments)
    }
}

/// `sandboxd serve`: becomes the daemon.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Runs the daemon until it gets SIGTERM or SIGINT."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-daemon", arguments)
    }
}

/// A command that `sandboxd-tools` does; both know it by the same name.
protocol ToolsCommand {
    static var name: String { get }
    static var abstract: String { get }
}

/// `sandboxd policy` and the like: becomes `sandboxd-tools`, and lets it read the arguments.
struct Handed<Tool: ToolsCommand>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: Tool.name, abstract: Tool.abstract)
    }

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-tools", [Tool.name] + arguments)
    }
}
