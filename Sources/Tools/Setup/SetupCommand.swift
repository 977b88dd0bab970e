// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc

/// `sandboxd setup`: what only root can prepare, so that the daemon needs no root.
struct SetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Prepares this machine: user, subordinate ids, directories, cgroups.",
        discussion: """
            Only root can do it. It says each thing that it does or finds done, so it can run as \
            often as wanted: after a restart of a machine without systemd it must, for directories \
            in /run and cgroups are gone then.
            """
    )

    @Option(help: ArgumentHelp("The user that the daemon runs as.", valueName: "name"))
    var user = "sandboxd"

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    func validate() throws {
        let isName =
            user.utf8.count <= 32 && user.first.map { $0 == "_" || $0.isLowercase } == true
            && user.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        guard isName else {
            throw ValidationError(
                "--user: '\(user)' is no user's name: small letters, digits, '-' and '_'"
            )
        }
        guard user != "root" else {
            throw ValidationError("--user: the daemon refuses to run as root; name another user")
        }
    }

    func run() throws {
        guard dryRun || geteuid() == 0 else {
            Terminal.say(
                "sandboxd: only root can set up a machine: run 'sudo sandboxd setup' "
                    + "('--dry-run' shows what it would do, and needs no root)"
            )
            throw ExitCode(125)
        }
        // Modes are set as they are meant to be; the caller's umask has no say.
        umask(0o022)
        let setup = Setup(user: user, isDryRun: dryRun)
        let steps: [any SetupStep] = [
            UserStep(), SubordinateIDsStep(), DirectoriesStep(), CgroupsStep(), UnitStep(),
            AppArmorStep(),
        ]
        do throws(SetupError) {
            for step in steps { try step.apply(setup) }
        } catch {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}
