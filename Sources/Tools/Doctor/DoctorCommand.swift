// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc

/// `sandboxd doctor`: what this machine lacks, and how to mend it.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks each need of the daemon, and says how to mend what is missing.",
        discussion: """
            It looks with the eyes of the user that runs the daemon. The exit status is 1 when \
            something is missing.
            """
    )

    private static let checks: [any Check] = [
        UserCheck(), KernelCheck(), UserNamespacesCheck(), ProcCheck(), IDHelpersCheck(),
        SubordinateIDsCheck(), CgroupsCheck(), SwapCheck(), SeccompCheck(), LandlockCheck(),
        ProgramsCheck(), ProfilesCheck(), ImagesCheck(), PostgresCheck(), DaemonCheck(),
    ]

    @Option(
        help: ArgumentHelp(
            "The user that runs the daemon. Default: this user; for root, sandboxd.",
            valueName: "name"
        )
    )
    var user: String?

    @Option(help: ArgumentHelp("The daemon's socket.", valueName: "path"))
    var socket: String?

    @OptionGroup var profiles: ProfileOptions

    @OptionGroup var images: ImageStoreOptions

    @Option(help: ArgumentHelp("Make this check alone; can be repeated.", valueName: "check"))
    var only: [String] = []

    @Flag(help: "Ask the daemon what was left behind on this node; status 1 when anything was.")
    var leaks = false

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    func validate() throws {
        let known = Self.checks.map(\.name)
        for name in only where !known.contains(name) {
            throw ValidationError(
                "--only: there is no check '\(name)', but: \(known.joined(separator: ", "))"
            )
        }
    }

    func run() throws {
        if leaks { return try LeaksReport(socket: socket ?? SocketPath.standard, json: json).run() }
        let name = user ?? (geteuid() == 0 ? "sandboxd" : Account.own.name)
        let patient = Patient(
            userName: name,
            account: name == Account.own.name ? Account.own : Account.named(name),
            socket: socket ?? SocketPath.standard,
            profiles: profiles,
            images: images
        )
        let chosen = Self.checks.filter { only.isEmpty || only.contains($0.name) }
        let report = DoctorReport(
            findings: chosen.map { check in
                DoctorReport.Row(check: check.name, finding: check.look(at: patient))
            }
        )
        print(json ? report.json : report.text)
        if !report.isHealthy { throw ExitCode(1) }
    }
}
