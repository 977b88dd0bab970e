// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Glibc
internal import Policy
internal import SystemPackage

/// `sandboxd policy check`: whether profiles would load.
struct PolicyCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Says of each profile whether it loads, and why not.",
        discussion: """
            A profile's lists of system calls are looked for in 'syscalls' beside it. The exit \
            status is 1 when a profile does not load.
            """
    )

    @Argument(help: ArgumentHelp("Profiles: YAML files.", valueName: "file"))
    var files: [String]

    func run() throws {
        var isGood = true
        for file in files {
            // Before its lists are looked for, which are not where the file is not.
            guard access(file, R_OK) == 0 else {
                isGood = false
                print("\(file): cannot be read: \(Errno(rawValue: errno))")
                continue
            }
            do {
                let policy = try ProfileStore.policy(inFile: file)
                // A filter that is too long for the kernel shows only when it is compiled.
                _ = try policy.seccompProgram()
                print("\(file): ok")
            } catch let error as ProfileError {
                // It names the file itself.
                isGood = false
                print(error)
            } catch {
                isGood = false
                print("\(file): \(error)")
            }
        }
        if !isGood { throw ExitCode(1) }
    }
}
