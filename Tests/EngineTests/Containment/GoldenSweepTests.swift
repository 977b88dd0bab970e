// SPDX-License-Identifier: Apache-2.0
import Testing

/// The golden sweeps, which came out of sandboxes, against the answers that the compiled filters
/// give, which `PolicyTests` keeps: two ways to one fact.
@Suite("Golden sweeps")
struct GoldenSweepTests {
    /// The kernel lets these two (uretprobe, uprobe) past every filter.
    private static let unfiltered: Set = [335, 336]
    /// The sweep makes these with arguments of its own, or not at all.
    private static let adjusted: Set = [62, 68, 154, 202]

    @Test(
        "every call of the machine's own table answers what the filter says",
        arguments: ["code", "shell", "browser"]
    )
    func own(profile: String) throws {
        let sweep = try GoldenSweep(profile: profile, name: "sweep").read()
        let filter = try Host.file("PolicyTests/Golden/\(profile).x86_64.txt")
        var compared = 0
        for line in filter.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 4, let number = Int(words[0]), let word = sweep.words[number],
                word != "skip", !Self.unfiltered.contains(number), !Self.adjusted.contains(number)
            else { continue }
            compared += 1
            let answer = words[3]
            if answer == "ALLOW" {
                // The kernel may refuse it by itself, but never by the filter's signal.
                #expect(word != "SIGSYS" && word != "hang", "\(words[1]) (\(number))")
            } else {
                #expect(word == answer, "\(words[1]) (\(number))")
            }
        }
        #expect(compared > 450)
    }

    @Test(
        "calls through other tables kill, every one of them",
        arguments: ["sweep-32", "sweep-x32"]
    )
    func foreign(name: String) throws {
        let sweep = try GoldenSweep(profile: "code", name: name).read()
        #expect(sweep.words.count > 450)
        #expect(Set(sweep.words.values) == ["SIGSYS", "skip"])
    }

    @Test("what no sandbox may ever call is refused", arguments: ["code", "shell", "browser"])
    func never(profile: String) throws {
        let sweep = try GoldenSweep(profile: profile, name: "sweep").read()
        // ptrace, personality's changes, mount, umount2, pivot_root, init_module, kexec_load,
        // keyctl, unshare, perf_event_open, setns, finit_module, bpf, userfaultfd, io_uring, clone3,
        // open_tree, fsopen, mount_setattr.
        let numbers = [
            101, 165, 166, 155, 175, 246, 250, 272, 298, 308, 313, 321, 323, 425, 426, 427, 435,
            428, 430, 442,
        ]
        for number in numbers {
            let word = sweep.words[number] ?? "nothing"
            #expect(word == "EPERM" || word == "ENOSYS", "call \(number) answers \(word)")
        }
    }
}
