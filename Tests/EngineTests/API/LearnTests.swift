// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite(
    "A profile that is learned from runs",
    .ownDaemon,
    .beside,
    .enabled(if: Host.engineSocket == nil, "a container's own filter refuses before init is asked")
)
struct LearnTests {
    /// Makes the calls of the numbers that it is given, and prints what each answers.
    private static let program = """
        import ctypes, sys
        libc = ctypes.CDLL(None, use_errno=True)
        for number in sys.argv[1:]:
            ctypes.set_errno(0)
            libc.syscall(int(number), 0, 0, 0, 0, 0)
            print(number, ctypes.get_errno())
        print(sum(range(1000)))
        """
    /// On x86_64: nanosleep, socket, kill, rename, mkdir, unlink, symlink, chmod, setpgid, getsid.
    private static let others = [35, 41, 62, 82, 83, 87, 88, 90, 109, 124]

    private func learn(
        _ daemon: TestDaemon,
        _ profiles: String,
        _ command: [String]
    ) throws
        -> Program.Ending
    {
        try Program.run(
            [
                try Installation.shared.get().program("sandboxd"), "profile", "learn", "--name",
                "learned", "--profiles", profiles, "--socket", daemon.socket, "--",
            ] + command
        )
    }

    @Test("it runs the same command, and refuses ten other calls that its parent lets through")
    func learned() throws {
        let profiles = try Installation.shared.get().makeDirectory() + "/profiles"
        try FileManager.default.copyItem(
            atPath: try Installation.shared.get().profiles,
            toPath: profiles
        )
        let first = try TestDaemon(["--profiles", profiles])
        let command = ["python3", "-c", Self.program]
        let ending = try learn(first, profiles, command)
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        // Never over what is there.
        let again = try learn(first, profiles, command)
        #expect(again.exitCode != 0 && again.errorText.contains("is there already"))
        first.stop()
        let list = try String(contentsOfFile: profiles + "/syscalls/learned.yaml", encoding: .utf8)
        let entries = list.split(separator: "\n").filter {
            $0.contains("name: ") && $0.contains("#")
        }
        #expect(entries.count > 20 && list.contains("why: "), "\(list)")

        let second = try TestDaemon(["--profiles", profiles])
        let same = try second.api.run(Run(command, profile: "learned"))
        #expect(same.verdict == "ok" && same.text == "499500", "\(same.json)")
        let numbers = Self.others.map(String.init)
        let denied = try second.api.run(Run(command + numbers, profile: "learned"))
        #expect(denied.text == (numbers.map { $0 + " 38" } + ["499500"]).joined(separator: "\n"))
        // The parent has them all.
        let parent = try second.api.run(Run(command + numbers))
        #expect(parent.verdict == "ok" && !parent.text.contains(" 38"), "\(parent.text)")
        second.stop()
    }

    @Test("from a command that does not end well nothing is learned")
    func failing() throws {
        let profiles = try Installation.shared.get().makeDirectory() + "/profiles"
        try FileManager.default.copyItem(
            atPath: try Installation.shared.get().profiles,
            toPath: profiles
        )
        let daemon = try TestDaemon(["--profiles", profiles])
        let ending = try learn(daemon, profiles, ["sh", "-c", "echo no such thing >&2; exit 3"])
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("exit 3") && ending.errorText.contains("no such thing"))
        #expect(access(profiles + "/learned.yaml", F_OK) != 0)
        daemon.stop()
    }
}
