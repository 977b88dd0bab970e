// SPDX-License-Identifier: Apache-2.0
internal import Kernel
package import SystemPackage

/// Why the daemon did not answer a command.
package enum ClientError: Error, CustomStringConvertible {
    /// Nobody listens.
    case notRunning(socket: String, Errno)
    /// The connection broke.
    case lost(Errno)
    /// The daemon went away in the middle.
    case ended
    /// The same, in the middle of a run.
    case runLost
    /// Something else than the daemon answers there.
    case notHTTP
    /// The daemon went away while somebody followed a task.
    case unfollowed(task: Int)
    /// The daemon refused; its own words.
    case refused(String)
    /// A file on this side.
    case file(String, Errno)
    /// The run beside the other could not even begin.
    case shadow(Errno)
    /// The percentage that the daemon keeps could not be had.
    case canaryUnknown(profile: String, String)
    /// What the command line asks for makes no sense.
    case usage(String)

    package var description: String {
        switch self {
        case .notRunning(let socket, .fileNameTooLong):
            """
            the socket's path is \(socket.utf8.count) bytes long, and the kernel takes \
            \(UnixSocket.pathLimit): give a shorter one with --socket (\(socket))
            """
        case .notRunning(let socket, .permissionDenied):
            "\(socket) belongs to another user: run this as the user that runs the daemon"
        case .notRunning(let socket, let code):
            """
            no daemon answers on \(socket) (\(code)): start it with 'sandboxd serve', or name its \
            socket with --socket or $SANDBOXD_SOCKET
            """
        case .lost(let code): "the connection to the daemon broke: \(code)"
        case .ended: "the daemon went away before it had answered"
        case .runLost: "the daemon went away before the run ended; the run went with it"
        case .unfollowed(let task):
            """
            the daemon went away; task \(task) is kept, and goes on when a daemon runs again: \
            sandboxd logs -f \(task)
            """
        case .notHTTP: "what answers there is not sandboxd"
        case .refused(let why): why
        case .file(let path, let code): "\(path): \(code)"
        case .shadow(let code): "the shadow run cannot start: \(code)"
        case .canaryUnknown(let profile, let why):
            """
            the canary of '\(profile)' cannot be read, and nothing was run: \(why) (give a number \
            to do without, like --canary 10)
            """
        case .usage(let why): why
        }
    }
}
