// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// One thing that a machine needs before it can run sandboxes.
protocol SetupStep: Sendable {
    /// Makes it so, or finds that it is so. Doing it twice does it once.
    func apply(_ setup: Setup) throws(SetupError)
}

/// A setup in progress: for whom, and whether anything may change.
struct Setup {
    /// The user that the daemon runs as.
    let user: String
    /// Whether it only tells.
    let isDryRun: Bool

    /// The user's ids; nil only in a dry run, before the user is made.
    var account: Account? { Account.named(user) }

    /// Tells that something is as it should be.
    func found(_ fact: String) {
        say("ok", fact)
    }

    /// Tells what is about to be done, and does it unless this is a dry run.
    func change(_ what: String, _ body: () throws(SetupError) -> Void) throws(SetupError) {
        say(isDryRun ? "would" : "do", what)
        if !isDryRun { try body() }
    }

    /// Tells something that is left for a person.
    func note(_ text: String) {
        say("note", text)
    }

    /// A line that is out before what it announces begins, also into a pipe.
    private func say(_ word: String, _ text: String) {
        let padding = String(repeating: " ", count: max(1, 7 - word.count))
        Terminal.write(1, Array((word + padding + text + "\n").utf8))
    }

    /// Makes a kernel call for a change; `doing` is what an error says was refused.
    func host(_ doing: String, _ body: () throws(Errno) -> Void) throws(SetupError) {
        do throws(Errno) { try body() } catch { throw .host(doing: doing, error) }
    }

    /// Runs one of the host's programs; `package` is Debian's that has it.
    func run(_ name: String, _ arguments: [String], package: String) throws(SetupError) {
        guard let tool = HostTool(name) else { throw .noTool(name, package: package) }
        let outcome: HostTool.Outcome
        do throws(Errno) { outcome = try tool.run(arguments) } catch {
            throw .host(doing: "starting \(tool.path)", error)
        }
        guard outcome.status == 0 else {
            throw .tool(name, status: outcome.status, output: outcome.lastLine)
        }
    }

    /// Gives a path to the user. A link is not followed: it would name somebody else's file.
    func give(_ path: String) throws(SetupError) {
        guard let account else { throw .noUser(user) }
        try host("giving \(path) to \(user)") { () throws(Errno) in
            _ = try kernel { lchown(path, account.uid, account.gid) }
        }
    }
}
