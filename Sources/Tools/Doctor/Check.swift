// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// One need of the daemon's.
protocol Check: Sendable {
    /// A word for it: `--only` takes it.
    var name: String { get }

    /// Looks whether the need is met. Changes nothing.
    func look(at patient: Patient) -> Finding
}

/// What a check found.
enum Finding {
    /// The need is met.
    case ok(String)
    /// Something good to know that stops nothing.
    case info(String)
    /// The need is not met; `mend` is what to do.
    case missing(String, mend: String)

    /// The same for every check that needs the daemon's user and finds none.
    static func noUser(_ patient: Patient) -> Finding {
        .missing("there is no user '\(patient.userName)'", mend: Mend.setup)
    }
}

/// What is to be done, where several checks say the same.
enum Mend {
    static let setup = "run 'sudo sandboxd setup'"
}

/// What is examined: this machine, for the user that runs the daemon.
struct Patient {
    let userName: String
    /// nil when there is no such user.
    let account: Account?
    let socket: String
    let profiles: ProfileOptions
    let images: ImageStoreOptions

    /// The setup command for this user.
    var setup: String {
        userName == "sandboxd" ? Mend.setup : "run 'sudo sandboxd setup --user \(userName)'"
    }

    /// Runs a program of the host's as the user; nil when it is not installed.
    ///
    /// Only root can do so for another user; for anybody else `account` is this user.
    func run(_ name: String, _ arguments: [String]) throws(Errno) -> HostTool.Outcome? {
        guard let tool = HostTool(name) else { return nil }
        guard let account, account.uid != geteuid() else { return try tool.run(arguments) }
        let drop = [
            "--reuid=\(account.uid)", "--regid=\(account.gid)", "--clear-groups", "--inh-caps=-all",
            tool.path,
        ]
        return try HostTool("setpriv")?.run(drop + arguments)
    }
}
