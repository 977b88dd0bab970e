// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What the tests are told about where they run.
enum Host {
    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The socket of a running private daemon of a debug build.
    static let socket = variable("SANDBOXD_SOCKET")
    /// The directory with `sandboxd`, `sandboxd-daemon` and `sandboxd-init`.
    static let build = variable("SANDBOXD_BUILD")
    /// The probe program.
    static let probe = variable("SANDBOXD_PROBE")
    /// The unprivileged user.
    static let user = variable("SANDBOXD_USER") ?? "sandboxd"
    /// Where the images are, when not at their usual place.
    static let images = variable("SANDBOXD_IMAGES")
    /// The profile of the rows of the containment table that name none.
    static let probeProfile = variable("SANDBOXD_TEST_PROBE_PROFILE") ?? "code"
    /// How often the crash test kills the daemon.
    static let kills = variable("SANDBOXD_TEST_KILLS").flatMap { Int($0) } ?? 50

    /// The only engine that the profiles of all daemons under test name; nil leaves them as shipped.
    static let engine = variable("SANDBOXD_TEST_ENGINE")
    /// That engine's socket, when it is a container engine.
    static let engineSocket = variable("SANDBOXD_TEST_ENGINE_SOCKET")

    /// Whether that engine runs as root.
    static let isEngineRootful = variable("SANDBOXD_TEST_ENGINE_ROOTFUL") != nil

    /// How many tests may run side by side. A container engine does little at once, and what its
    /// containers wait for each other would count as their time; so it is on a machine that is emulated.
    static let sideBySide =
        switch (isContainer: engineSocket != nil, isSlow: slowness > 1) {
        case (false, false): Int.max
        case (false, true): 4
        case (true, false): 3
        case (true, true): 1
        }

    /// By how much a machine that is emulated takes longer: what has a fixed time gets that much.
    static let slowness = variable("SANDBOXD_TEST_SLOWNESS").flatMap { Int($0) } ?? 1

    /// A time limit, in minutes. It counts a test's wait for its turn, which is long where few run side
    /// by side.
    static func minutes(_ count: Int) -> TimeLimitTrait.Duration {
        .minutes(count * slowness * (sideBySide == .max ? 1 : sideBySide == 1 ? 20 : 6))
    }

    static let isRoot = geteuid() == 0

    /// The user's id.
    static let userID: uid_t? = isRoot ? getpwnam(user)?.pointee.pw_uid : geteuid()
    static let groupID: gid_t? = isRoot ? getpwnam(user)?.pointee.pw_gid : getegid()

    /// The host ids that the user's sandboxes run under.
    static let subordinateIDs: Range<UInt32> = {
        let text = (try? String(contentsOfFile: "/etc/subuid", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":")
            if parts.count == 3, parts[0] == user, let first = UInt32(parts[1]),
                let count = UInt32(parts[2])
            {
                return first..<(first + count)
            }
        }
        return 0..<0
    }()

    /// An address of this host that is no loopback.
    static let address: String? = {
        // A host without the program has none that we know of.
        let text = (try? Program.run(["hostname", "-I"]))?.text ?? ""
        return text.split { $0 == " " || $0 == "\n" }.first { $0.contains(".") }.map(String.init)
    }()

    /// Whether cgroups are v2 only.
    static let hasUnifiedCgroups = access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0

    /// The tests' own directory in the source tree.
    static let sources = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// A file of the source tree, below `Tests`.
    static func file(_ path: String) throws -> String {
        try String(contentsOfFile: sources + "/../" + path, encoding: .utf8)
    }

    /// The daemon that the test run was given.
    static func daemon() throws -> API {
        API(socket: try #require(socket))
    }

    /// A name that nobody has used before, for what the shared daemon keeps.
    static func unique(_ what: String) -> String {
        "\(what)-\(UInt32.random(in: 0 ... .max))"
    }

    /// Milliseconds on a clock that nobody sets.
    static var milliseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Waits until `condition` holds, where the kernel has no event for it; false after `limit`, which is
    /// longer on a slow machine.
    static func waits(upTo limit: Duration, for condition: () throws -> Bool) rethrows -> Bool {
        let end = milliseconds + Int(limit / .milliseconds(1)) * slowness
        while true {
            if try condition() { return true }
            if milliseconds >= end { return false }
            usleep(5_000)
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Is about a part that only the native engine has.
    static func native(_ why: String) -> Self {
        .enabled(if: Host.engineSocket == nil, "only of the native engine: \(why)")
    }

    /// Needs the daemon of the test run.
    static var daemon: Self {
        .enabled(if: Host.socket != nil, "SANDBOXD_SOCKET is not set: run scripts/test")
    }

    /// Needs the programs, to start daemons of its own.
    static var ownDaemon: Self {
        .enabled(
            if: Host.build != nil && Host.userID != nil,
            "SANDBOXD_BUILD is not set, or the user \(Host.user) does not exist: run scripts/test"
        )
    }

    /// Needs the probe program.
    static var probe: Self {
        .enabled(if: Host.probe != nil, "SANDBOXD_PROBE is not set: run scripts/test")
    }

    /// Needs root, to look into other users' processes.
    static var root: Self {
        .enabled(if: Host.isRoot, "only root can look into the sandboxes' processes")
    }
}
