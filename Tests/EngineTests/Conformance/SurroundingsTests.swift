// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("What a job finds itself in", .daemon, .beside)
struct SurroundingsTests {
    private func answer(_ script: String, _ limits: [String: JSON] = [:]) throws -> String {
        let report = try Host.daemon().run(.shell(script).limited(limits))
        try #require(report.verdict != "engine_error", "\(report.json)")
        return report.text
    }

    @Test(
        "it sees as many processors as its share can keep busy, whoever it asks",
        arguments: [
            "nproc", "grep -c ^processor /proc/cpuinfo", "grep -c '^cpu[0-9]' /proc/stat",
            "python3 -c 'import os; print(os.cpu_count())'",
            "python3 -c 'import os; print(len(os.sched_getaffinity(0)))'",
            "getconf _NPROCESSORS_ONLN", "node -p 'require(\"os\").cpus().length'",
        ]
    )
    func processors(question: String) throws {
        #expect(try answer(question) == "1")
    }

    @Test("host name, user, group and home are the sandbox's")
    func identity() throws {
        #expect(try answer("uname -n") == "sandbox")
        #expect(try answer("id") == "uid=1000(job) gid=1000(job) groups=1000(job)")
        #expect(try answer("echo $HOME; cd; pwd") == "/workspace\n/workspace")
    }

    @Test("it has the three standard descriptors, all pipes or null, and no terminal")
    func descriptors() throws {
        let list = try answer("python3 -c 'import os; print(os.listdir(\"/proc/self/fd\"))'")
        // The fourth is the directory being listed.
        #expect(list == "['0', '1', '2', '3']")
        #expect(try answer("tty; ps -o tty= -p $$; readlink /proc/self/fd/0").contains("/dev/null"))
        #expect(
            try answer("(exec 3</dev/tty) 2>&1; test -t 0 -o -t 1 -o -t 2; echo $?")
                .hasSuffix("1")
        )
    }

    @Test("no signal is blocked or ignored")
    func signals() throws {
        let status = try answer("grep -E '^Sig(Blk|Ign)' /proc/self/status")
        #expect(status == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000")
    }

    @Test("priority, out-of-memory score, umask and process group are plain")
    func attributes() throws {
        #expect(try answer("nice") == "0")
        #expect(try answer("cat /proc/self/oom_score_adj") == "1000")
        #expect(try answer("umask") == "0022")
        let session = "import os; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())"
        #expect(try Host.daemon().run(.python(session)).text == "True True")
    }

    @Test("limits that a process can ask for are those of the profile")
    func limits() throws {
        #expect(try answer("ulimit -n", ["open_files": 100]) == "100")
        #expect(try answer("ulimit -c") == "0")
    }

    @Test("it is alone: process 1 cannot be seen, and no other process either")
    func alone() throws {
        let list =
            "import os; print([p == str(os.getpid()) for p in os.listdir('/proc') if p.isdigit()])"
        #expect(try Host.daemon().run(.python(list)).text == "[True]")
        #expect(try answer("ls -d /proc/1 2>&1").contains("No such file"))
    }

    @Test("only the workspace and /dev/shm can be written to")
    func writable() throws {
        let script = """
            for d in / /tmp /var/tmp /run /home /etc /usr /dev /proc /workspace /workspace/out \
            /workspace/.tmp /dev/shm; do (: > $d/x) 2>/dev/null && echo $d; done; true
            """
        // /tmp and /var/tmp are links into the workspace.
        let places = "/tmp /var/tmp /workspace /workspace/out /workspace/.tmp /dev/shm"
        #expect(try answer(script).replacing("\n", with: " ") == places)
    }

    @Test("sandboxes alive at once have different ids, and none is the daemon's", .root)
    func distinctUsers() throws {
        let api = try Host.daemon()
        let marks = (0..<4).map { _ in Sandboxes.mark() }
        // One after the other: that they live at once matters, not that they are made at once.
        let lives = try marks.map { mark in
            let live = try api.start(.shell("echo up; sleep 100", ["env": ["MARK": .string(mark)]]))
            try live.waits(for: "up")
            return live
        }
        var users: [UInt32] = []
        for mark in marks {
            let job = try #require(Sandboxes.processes(marked: mark).first)
            let cgroup = try #require(Sandboxes.cgroups(of: job).first)
            var own = Set(Sandboxes.members(of: cgroup).compactMap(ProcessTable.user))
            // Where an engine meters its container, process 1 is in there, too: the daemon's user.
            if Host.engineSocket != nil, let user = Host.userID { own.remove(user) }
            // init's and the job's.
            #expect(own.count == 2)
            users += own
        }
        #expect(Set(users).count == 8)
        // Neither root nor the daemon's user is in that range.
        for user in users { #expect(Host.subordinateIDs.contains(user)) }
        for live in lives { live.cancel() }
    }

    @Test("a sandbox finds nothing of the one before it")
    func fresh() throws {
        let leave = "touch /workspace/left /dev/shm/left; ipcmk -M 100 > /dev/null; hostname"
        _ = try answer(leave)
        let look = "ls -A /workspace /dev/shm; ls -A /workspace/out; ipcs -m | grep -c 0x"
        #expect(try answer(look) == "/dev/shm:\n\n/workspace:\n.tmp\nout\n0")
    }
}
