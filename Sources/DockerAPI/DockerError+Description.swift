// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension DockerError: CustomStringConvertible {
    /// One line: the call, what went wrong, and what to do when something can be done.
    package var description: String { "docker \(call.rawValue): \(reason)" }
}

extension DockerError.Reason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalid(let what): what
        case .unreachable(let path, let code): Self.unreachable(Visible.text(path), code)
        case .notAnEngine(let why):
            "what answers on the socket is no Docker engine: \(why); name the engine's socket"
        case .tooOld(let version):
            """
            the engine speaks API \(version) at most, and sandboxd needs \(APIVersion.oldest): \
            install a newer engine
            """
        case .tooNew(let version):
            """
            the engine speaks API \(version) at least, and sandboxd knows \(APIVersion.newest): \
            install a newer sandboxd
            """
        case .late(let after): "the engine was not done after \(after.inWords)"
        case .silent(let span): "nothing came or went for \(span.inWords)"
        case .tooLarge(let part, let limit):
            "the engine's answer has a \(part.rawValue) of more than \(limit) bytes"
        case .lost(let why): "the connection to the engine was lost: \(why)"
        case .answered(let status, let message):
            message.isEmpty
                ? "the engine answered \(status)" : "the engine answered \(status): \(message)"
        case .reported(let message): "the engine failed: \(message)"
        case .nameTaken(let name, let message):
            "a container named '\(name)' is there already: \(message)"
        case .inUse(let message): "the image is in use: \(message)"
        case .unreadable(let what): "the engine's answer is not as documented: \(what)"
        case .source(let code): "what is to be sent cannot be read: \(code)"
        case .sink(let code): "what comes cannot be written: \(code)"
        case .cancelled: "it was cancelled"
        case .closed: "the client was closed"
        }
    }

    private static func unreachable(_ path: String, _ code: Errno) -> String {
        switch code {
        case .noSuchFileOrDirectory:
            "there is no socket at \(path): start the engine, or name its socket"
        case .notDirectory: "\(path) leads through something that is no directory"
        case .connectionRefused:
            "nobody listens at \(path): start the engine, or name its socket"
        case .permissionDenied:
            "\(path) is not for this user: run the engine as the user that runs sandboxd"
        case .resourceTemporarilyUnavailable:
            "the engine at \(path) does not take connections: it hangs, or is overloaded"
        default: "cannot connect to \(path): \(code)"
        }
    }
}

extension Duration {
    /// Seconds, or milliseconds below one.
    fileprivate var inWords: String {
        let milliseconds = Int(self / .milliseconds(1))
        return milliseconds < 1000 || milliseconds % 1000 != 0
            ? "\(milliseconds) ms" : "\(milliseconds / 1000) s"
    }
}
