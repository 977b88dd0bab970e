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

/// `sandboxd policy`.
struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Checks profiles, and shows what they come to."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-tools", ["policy"] + arguments)
    }
}

/// `sandboxd image`.
struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "Builds, lists and removes the images that sandboxes run in."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-tools", ["image"] + arguments)
    }
}

/// `sandboxd setup`.
struct SetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Prepares this machine, as root; idempotent."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-tools", ["setup"] + arguments)
    }
}

/// `sandboxd doctor`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks what this machine has, and names what is missing."
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var arguments: [String] = []

    func run() throws {
        try Handover.become("sandboxd-tools", ["doctor"] + arguments)
    }
}
