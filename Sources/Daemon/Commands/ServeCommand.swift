// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CLinux
internal import Glibc
internal import Logging

/// `sandboxd serve`: the daemon.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd serve",
        abstract: "Runs the daemon until it gets SIGTERM or SIGINT.",
        discussion: """
            Serves the API on a Unix socket (mode 0600) and runs each request in a sandbox of its \
            own. It refuses to run as root: see 'sandboxd setup'.
            """
    )

    @OptionGroup var options: ServeOptions

    mutating func run() async throws {
        // A job that closes its input early must not end the daemon.
        signal(SIGPIPE, SIG_IGN)
        // Nothing the daemon makes is anybody else's.
        umask(0o077)
        do {
            let daemon = try await Daemon(options.configuration())
            try await daemon.run()
        } catch let error as DaemonError {
            FileHandles.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}

/// Writing to standard error without a library.
enum FileHandles {
    /// One line.
    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // Without a standard error there is nobody to tell.
        _ = write(2, bytes, bytes.count)
    }
}
