// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Glibc
internal import SystemPackage

/// `sandboxd serve`: becomes the daemon.
///
/// The daemon is a program of its own, so that the server's libraries cost the other commands
/// nothing. It has the same process id: a supervisor sees one process.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Runs the daemon until it gets SIGTERM or SIGINT.",
        discussion: "'sandboxd serve --help' lists its options."
    )

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The daemon's options.", valueName: "option")
    )
    var options: [String] = []

    func run() throws {
        do throws(Errno) {
            let daemon = try Installation().daemon
            CArguments.with([daemon] + options) { _ = execv(daemon, $0) }
            let code = Errno(rawValue: errno)
            Terminal.say(
                "sandboxd: cannot start \(daemon): \(code) (it belongs beside this program: "
                    + "build both with 'make build', or install both)"
            )
        } catch {
            Terminal.say("sandboxd: cannot tell where this program is: /proc/self/exe: \(error)")
        }
        throw ExitCode(125)
    }
}
