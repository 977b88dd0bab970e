// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc

/// Which daemon a command talks to.
struct DaemonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's socket.", valueName: "path"))
    var socket: String?

    /// Runs the body of a command, which answers the exit status.
    ///
    /// - Throws: that status when it is not 0; 64 when the command line makes no sense; 125 when
    ///   the daemon refused or did not answer. Standard error says why.
    func run(_ body: (DaemonAPI) throws(ClientError) -> Int32) throws(ExitCode) {
        // The daemon's end of the connection may close first; the read says so.
        signal(SIGPIPE, SIG_IGN)
        let status: Int32
        do throws(ClientError) {
            status = try body(DaemonAPI(socket: socket))
        } catch {
            Terminal.say("sandboxd: \(error)")
            if case .usage = error { throw .validationFailure }
            throw ExitCode(125)
        }
        if status != 0 { throw ExitCode(status) }
        // What was asked for did not arrive, which was said.
        if Terminal.hasLost { throw ExitCode(125) }
    }
}
