// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A daemon of a test's own, run as the unprivileged user on a directory of its own.
final class TestDaemon {
    /// Why one did not come up: its own words.
    struct DidNotStart: Error, CustomStringConvertible {
        let description: String
    }

    let directory: String
    let socket: String
    let api: API
    /// Its cgroup directories, as its janitor knows them.
    let cgroups: [String]
    let janitor: pid_t
    private let program: Program

    var pid: pid_t { program.pid }
    var state: String { directory + "/state" }
    /// Everything it has said.
    var log: String { program.errorsSoFar + String(decoding: program.outputSoFar, as: UTF8.self) }

    /// Starts it with further options and waits until it answers. With `nameServer`, its resolver asks
    /// that one and no other, which only root can arrange.
    init(
        _ options: [String] = [],
        environment: [String: String] = [:],
        directory: String? = nil,
        nameServer: NameServer? = nil
    ) throws {
        let installation = try Installation.shared.get()
        let place = try directory ?? installation.makeDirectory()
        self.directory = place
        socket = place + "/s"
        api = API(socket: socket)
        program = try Self.start(
            options,
            environment: environment,
            directory: place,
            nameServer: nameServer
        )
        let (api, program) = (api, program)
        let answers = Host.waits(upTo: .seconds(30)) {
            if program.ends(within: .zero) { return true }
            // Until it listens, connecting fails.
            return (try? api.answer("GET", "/healthz"))?.status == 200
        }
        guard answers, !program.ends(within: .zero) else {
            let ending = program.ending(within: .zero)
            throw DidNotStart(description: ending.errorText + ending.text)
        }
        let children = ProcessTable().descendants(of: program.pid)
        let janitor = children.first { ProcessTable.arguments($0.pid).contains("janitor") }
        self.janitor = try #require(janitor?.pid, "the daemon has no janitor")
        cgroups = ProcessTable.arguments(self.janitor).filter { $0.hasPrefix("/sys/fs/cgroup") }
    }

    deinit {
        // A test that failed may leave it running.
        kill(program.pid, SIGKILL)
        _ = program.ends(within: .seconds(10))
        if Host.hasUnifiedCgroups {
            for place in ["/daemon", "/runs", ""] { rmdir(Self.delegated(directory) + place) }
        }
    }

    /// Starts the program, and comes back at once.
    static func start(
        _ options: [String],
        environment: [String: String] = [:],
        directory: String,
        nameServer: NameServer? = nil
    ) throws -> Program {
        let installation = try Installation.shared.get()
        var arguments =
            Program.asUser + [
                installation.program("sandboxd-daemon"), "--state", directory + "/state",
                "--socket", directory + "/s",
            ]
        if let images = Host.images { arguments += ["--images", images] }
        if Host.hasUnifiedCgroups, Host.isRoot {
            arguments = try inDelegatedCgroup(arguments, in: directory)
        }
        if let socket = Host.engineSocket { arguments += ["--docker", "unix://" + socket] }
        if !options.contains("--docker-timeout") {
            arguments += ["--docker-timeout", String(30 * Host.slowness)]
        }
        if Host.isEngineRootful { arguments.append("--allow-rootful") }
        if !options.contains("--profiles") { arguments += ["--profiles", installation.profiles] }
        // What is tried here is the engine; the tests of tasks say which database they want.
        if !options.contains("--database") { arguments += ["--database", "none"] }
        // As many descriptors as the host allows: each sandbox takes a dozen.
        let raised = ["sh", "-c", "ulimit -Sn \"$(ulimit -Hn)\"; exec \"$@\"", "sh"]
        let variables = installation.environment.merging(["HOME": directory]) { $1 }
        return try Program(
            (nameServer?.words ?? []) + raised + arguments + options,
            environment: variables.merging(environment) { $1 },
            directory: directory
        )
    }

    /// The cgroup of the daemon with this directory, on v2.
    private static func delegated(_ directory: String) -> String {
        "/sys/fs/cgroup/sandboxd-tests/" + directory.split(separator: "/").joined(separator: "-")
    }

    /// On v2 a daemon needs a cgroup that is its user's, and to be in it.
    private static func inDelegatedCgroup(
        _ arguments: [String],
        in directory: String
    ) throws -> [String] {
        let root = "/sys/fs/cgroup"
        let path = delegated(directory)
        for parent in [root, root + "/sandboxd-tests"] {
            mkdir(parent, 0o755)
            try Data("+cpu +memory +pids".utf8)
                .write(to: URL(filePath: parent + "/cgroup.subtree_control"))
        }
        mkdir(path, 0o755)
        if let user = Host.userID, let group = Host.groupID {
            for file in ["", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"] {
                chown(path + file, user, group)
            }
        }
        // A daemon that is or was in it has handed its controllers on, and since then processes go
        // into the place that it made for itself.
        let join = "p=\(path); [ -d $p/daemon ] && p=$p/daemon; echo 0 > $p/cgroup.procs"
        return ["sh", "-c", join + " && exec \"$@\"", "sh"] + arguments
    }

    /// The places it keeps for sandboxes, by name, and the processes in each. One with no more than
    /// an init waits for a run.
    var cells: [String: [pid_t]] {
        guard let cgroup = cgroups.first else { return [:] }
        let pairs = ProcessTable.names(cgroup)
            .filter { access(cgroup + "/" + $0 + "/cgroup.procs", F_OK) == 0 }
            .map { ($0, Sandboxes.members(of: cgroup + "/" + $0)) }
        return Dictionary(pairs) { $1 }
    }

    /// Whether no run goes on and nothing is being made or taken down.
    var isAtRest: Bool { cells.values.allSatisfy { $0.count <= 1 } }

    /// Kills it without a warning.
    func kill9() {
        kill(program.pid, SIGKILL)
        _ = program.ends(within: .seconds(10))
    }

    /// Tells it to stop, and holds what is left against nothing.
    func stop(sourceLocation: SourceLocation = #_sourceLocation) {
        let own = ProcessTable().descendants(of: pid)
        kill(program.pid, SIGTERM)
        let ended = program.ends(within: .seconds(30))
        #expect(ended, "it did not stop within 30 s", sourceLocation: sourceLocation)
        // The kernel takes a moment to take down what was killed.
        let isGone = Host.waits(upTo: .seconds(1)) { leftovers(of: own).isEmpty }
        #expect(isGone, "\(leftovers(of: own))", sourceLocation: sourceLocation)
    }

    /// What is there of it though it is gone: processes, cgroups, the socket.
    func leftovers(of processes: [ProcessTable.Entry]) -> [String] {
        var left: [String] = []
        for process in processes {
            guard let now = ProcessTable.entry(process.pid),
                now.startTicks == process.startTicks, !now.isDead
            else { continue }
            left.append("process \(now.pid) \(now.name) \(ProcessTable.arguments(now.pid))")
        }
        for path in cgroups where access(path, F_OK) == 0 {
            left.append("\(path) (\(cells.count) cells)")
        }
        if access(socket, F_OK) == 0 { left.append("the socket \(socket)") }
        return left
    }
}
