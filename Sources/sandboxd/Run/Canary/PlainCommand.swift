// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc

/// The command as it would run without sandboxd.
enum PlainCommand {
    /// Becomes the command: same process, same environment, directory, streams and signals. It comes
    /// back only when the command cannot be executed, with the status that env(1) has for that.
    static func become(argumentCount: Int) -> Int32 {
        // The very bytes that the caller gave: a String would repair what is not UTF-8.
        let first = Int(CommandLine.argc) - argumentCount
        let arguments = CommandLine.unsafeArgv.advanced(by: first)
        guard let program = arguments.pointee else { return 127 }
        execvp(program, arguments)
        let code = errno
        Terminal.say(
            "sandboxd: cannot run '\(Terminal.printable(String(cString: program)))' on this host: "
                + String(cString: strerror(code))
        )
        return code == ENOENT ? 127 : 126
    }
}
