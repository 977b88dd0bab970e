// SPDX-License-Identifier: Apache-2.0
import CChannel
import CLinux
import Foundation
import Kernel
import SystemPackage
import Testing

@testable import Spawner

/// The parts of the Docker engine that need no engine.
@Suite("Containers of another engine")
struct ContainerPartTests {
    // MARK: Mounts

    /// A table as a container's job sees it: the engine's mounts, then ours over them.
    private static let mounts = """
        186 184 0:41 / / ro,nosuid,nodev,relatime - overlay overlay rw,lowerdir=/x
        187 186 0:46 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
        188 186 0:47 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
        198 186 0:49 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
        199 198 0:50 / /sys/fs/cgroup rw,nosuid,nodev,noexec - tmpfs tmpfs rw
        209 186 254:0 /state/docker-1 /.sandboxd ro,relatime - ext4 /dev/vda rw
        210 186 254:0 /c/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
        243 209 0:53 / /.sandboxd ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw
        244 188 0:54 / /dev ro,nosuid,noexec,relatime - tmpfs tmpfs rw
        251 198 0:55 / /sys ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs ro
        252 187 0:56 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
        256 186 0:59 / /workspace rw,nosuid,nodev,relatime - tmpfs tmpfs rw
        258 210 0:54 /hosts /etc/hosts ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw

        """

    private static func differences(_ more: String, in table: String = mounts) -> [String] {
        InheritedMounts.differences(in: Array((table + more).utf8))
    }

    @Test("what the engine mounted is hidden, or read-only")
    func mounts() {
        #expect(Self.differences("") == [])
        #expect(Self.differences("300 186 0:9 / /run ro,nosuid,nodev - tmpfs tmpfs rw\n") == [])
    }

    @Test(
        "what can still be seen and written is found, by its path",
        arguments: [
            ("/run", "rw,nosuid,nodev"), ("/run", "ro,nodev"), ("/run", "ro,nosuid"),
            ("/etc/hosts", "rw,nosuid,nodev"), ("/system", "rw,nosuid,nodev"),
            ("/procedures", "rw,nosuid,nodev"), ("/workspaces", "rw,nosuid,nodev"),
        ]
    )
    func visible(path: String, options: String) {
        let found = Self.differences("300 186 0:9 / \(path) \(options) - tmpfs tmpfs rw\n")
        #expect(found.count == 1 && found[0].hasPrefix(path + " is"), "\(found)")
    }

    @Test("a cover hides what was below it, and nothing that came later")
    func order() {
        let early = "300 186 0:9 / /a/b rw - tmpfs tmpfs rw\n"
        let cover = "301 186 0:9 / /a ro,nosuid,nodev - tmpfs tmpfs rw\n"
        #expect(Self.differences(early + cover) == [])
        #expect(Self.differences(cover + early).count == 1)
    }

    // MARK: Ids

    @Test("a map of ids answers for what it maps, and for nothing else")
    func idMap() {
        let map = IDMap(
            text: "         0        999          1\n         1     200000      65536\n"
        )
        #expect(map.outside(0) == 999)
        #expect(map.outside(1) == 200_000)
        #expect(map.outside(65_536) == 265_535)
        #expect(map.outside(65_537) == nil)
        #expect(IDMap(text: "").outside(0) == nil)
        #expect(IDMap(text: "x y z\n1 2\n").outside(1) == nil)
    }

    @Test("two engines that share the ids never have the same at once")
    func sharedIDs() throws {
        let range = SubordinateIDs.Range(start: 100_000, count: 10)
        let ids = SubordinateIDs(users: range, groups: range)
        let first = try ids.take()
        let second = try ids.take()
        #expect(first != second)
        ids.giveBack(first)
        // Others come first: an id rests before it is used again.
        #expect(try ids.take() != first)
    }

    // MARK: Who connects

    @Test("what connects must be our user's, and run our program")
    func peer() throws {
        let script =
            "import socket, sys, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            + "s.connect(sys.argv[1])\ntime.sleep(60)"
        let python = try [UInt8](
            Data(contentsOf: URL(filePath: "/usr/bin/python3").resolvingSymlinksInPath())
        )
        let parent =
            FileManager.default.temporaryDirectory.path + "/sbx-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: parent) }
        let directory = try AttemptDirectory(path: parent + "/a", program: python, filter: nil)
        for (program, isOurs) in [("/usr/bin/python3", false), (parent + "/a/init", true)] {
            let process = Process()
            process.executableURL = URL(filePath: program)
            process.arguments = ["-c", script, parent + "/a/control"]
            try process.run()
            // Python may have inherited a mask that keeps SIGTERM from it.
            defer { kill(process.processIdentifier, SIGKILL) }
            var number: Int32 = -1
            for _ in 0..<2000 where number < 0 {
                number = clx_channel_accept(directory.socket.number, 65_536)
                if number < 0 { usleep(5000) }
            }
            let connection = Descriptor(owning: number)
            let found = try? Stem.process(of: connection, running: directory.program)
            #expect(found == (isOurs ? process.processIdentifier : nil), "\(program)")
        }
        AttemptDirectory.remove(directory.path)
        #expect(AttemptDirectory.inventory(of: parent).isEmpty)
    }

    /// Asks a stem on a loop of its own.
    private actor Asker {
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

        private let loop: EventLoop
        private let stem: Stem

        init(on loop: EventLoop) {
            self.loop = loop
            stem = Stem(on: loop)
        }

        func ask(_ connection: Descriptor) async throws -> Result<Descriptor, SpawnError> {
            let (_, control) = try Channel.pair()
            defer { stem.close() }
            return await withCheckedContinuation { continuation in
                do {
                    try stem.launch(
                        over: connection,
                        slot: SubordinateIDs.Slot(number: 0),
                        control: control,
                        layers: Layers()
                    ) { continuation.resume(returning: $0) }
                } catch {
                    continuation.resume(returning: .failure(.lost(during: "\(error)")))
                }
            }
        }
    }

    @Test(
        "a container that says of its sandbox what cannot be is not believed",
        arguments: [(2, -1), (2, 4096), (2, 0), (-5, 13), (1000, 13), (2, .min)] as [(Int32, Int32)]
    )
    func impossibleLaunch(step: Int32, error: Int32) async throws {
        let (ours, theirs) = try Channel.pair()
        let launched = sbx_launched(header: .init(), tag: 1, step: step, error: error)
        try Channel.sendOnce(theirs, SBX_LAUNCHED, launched, trailing: [])
        let answer = try await Asker(on: try EventLoop()).ask(ours)
        // Until here there was somebody to be asked.
        withExtendedLifetime(theirs) {}
        guard case .failure(let refusal) = answer else {
            Issue.record("it was believed")
            return
        }
        #expect(refusal.step == "violation")
        #expect(!refusal.evidence.isEmpty)
    }

    @Test("a container that says why it has no sandbox is heard")
    func possibleLaunch() async throws {
        let (ours, theirs) = try Channel.pair()
        let launched = sbx_launched(header: .init(), tag: 1, step: 8, error: 13)
        try Channel.sendOnce(theirs, SBX_LAUNCHED, launched, trailing: [])
        let answer = try await Asker(on: try EventLoop()).ask(ours)
        // Until here there was somebody to be asked.
        withExtendedLifetime(theirs) {}
        guard case .failure(.step(.clone, .permissionDenied)) = answer else {
            Issue.record("\(answer)")
            return
        }
    }

    // MARK: Ids that are kept back

    @Test("the ids of a container that went away come back, at the second look without it")
    func withheld() throws {
        var withheld = WithheldIDs()
        let (first, second) = (SubordinateIDs.Slot(number: 1), SubordinateIDs.Slot(number: 2))
        withheld.withhold(first, of: "a")
        withheld.withhold(second, of: "b")
        #expect(withheld.release(withheld.containers, butFor: ["b", "c"]).isEmpty)
        // It was only late.
        #expect(withheld.release(withheld.containers, butFor: ["a", "b"]).isEmpty)
        #expect(withheld.release(withheld.containers, butFor: ["b"]).isEmpty)
        #expect(withheld.release(withheld.containers, butFor: ["b"]) == [first])
        #expect(withheld.release(withheld.containers, butFor: ["b"]).isEmpty)
        #expect(withheld.containers == ["b"])
    }

    @Test("ids come back once, whoever is first: the look or the removal")
    func withheldOnce() throws {
        var withheld = WithheldIDs()
        let slot = SubordinateIDs.Slot(number: 1)
        withheld.withhold(slot, of: "a")
        #expect(withheld.release(["a"], butFor: []).isEmpty)
        #expect(withheld.release("a") == slot)
        #expect(withheld.release("a") == nil)
        #expect(withheld.release(["a"], butFor: []).isEmpty)
        // What is kept back under the same name again was not missing yet.
        withheld.withhold(slot, of: "a")
        #expect(withheld.release([], butFor: []).isEmpty)
        #expect(withheld.release(["a"], butFor: []).isEmpty)
        #expect(withheld.release(["a"], butFor: []) == [slot])
    }

    // MARK: The circuit

    @Test("a failing engine is left alone for longer each time, and a minute at most")
    func circuit() {
        var state = EngineCircuit.State()
        let now = Instant.now
        var pauses: [Double] = []
        for _ in 0..<9 {
            state.failed("it broke", at: now)
            pauses.append((state.openUntil ?? now).milliseconds(since: now))
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { $0 * 1000 })
    }

    @Test("while a circuit is open it says why; what works again is asked at once")
    func refusal() {
        let circuit = EngineCircuit()
        #expect(circuit.refusal() == nil)
        circuit.failed("docker ping: nobody answers")
        let refusal = circuit.refusal()
        #expect(refusal?.hasPrefix("docker ping: nobody answers") == true)
        #expect(circuit.refusal(at: .now.advanced(by: .seconds(2))) == nil)
        circuit.worked()
        #expect(circuit.refusal() == nil)
    }
}
