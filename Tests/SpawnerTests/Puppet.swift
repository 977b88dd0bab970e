// SPDX-License-Identifier: Apache-2.0
import CChannel
import CLinux
import Foundation
import Policy
import SystemPackage

@testable import Kernel
@testable import Spawner

/// An engine whose init says what a test has it say, and lives as long as the test wants.
actor PuppetEngine: Engine {
    /// What it tells of init's process when it is asked for one.
    enum Launch: Sendable {
        case atOnce
        case never
    }

    nonisolated let name = "puppet"
    nonisolated let loop: EventLoop
    nonisolated let layers = Layers()
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    let inventory: Set<String> = []

    /// init's end of the control channel.
    nonisolated let end: Descriptor
    private let control: Descriptor
    /// Stands in for init's pidfd, and can be read when the other end is let go.
    private let death: Descriptor
    private var life: Descriptor?
    private let launch: Launch
    /// The id of the container that its cell is in, and what of that stays.
    private let container: String?
    private let left: [String]
    private var answer: Launched?

    /// Cells that were taken back, and those that were left to it.
    private(set) var ended: [String] = []
    private(set) var abandoned: [String] = []

    init(_ launch: Launch = .atOnce, container: String? = nil, left: [String] = []) throws {
        loop = try EventLoop()
        self.launch = launch
        (self.container, self.left) = (container, left)
        (control, end) = try Channel.pair()
        (death, life) = try Descriptor.pipe()
    }

    func begin(_ request: RunRequest, _ launched: @escaping Launched) throws -> Cell {
        answer = launched
        if launch == .atOnce { tellOfProcess() }
        return try cell()
    }

    /// The one cell that it has.
    func cell() throws -> Cell {
        var cell = Cell(
            id: "cell",
            cgroup: try PuppetCgroup(),
            control: control,
            slot: SubordinateIDs.Slot(number: 0),
            hostInitUser: 0,
            hostJobUser: 0,
            hostJobGroup: 0
        )
        cell.container = container
        return cell
    }

    /// Answers who waits for init's process.
    func tellOfProcess() {
        answer?(.success(death))
        answer = nil
    }

    /// Answers that there is none.
    func tellOfFailure() {
        answer?(.failure(.lost(during: "launch")))
        answer = nil
    }

    /// Lets init die, now or a little later.
    func die() { life = nil }

    func die(after duration: Duration) {
        _ = loop.schedule(at: .now.advanced(by: duration)) { [self] in
            assumeIsolated { $0.die() }
        }
    }

    func jobStarted(_ request: RunRequest) {}

    func jobEnded(in cell: Cell) {}

    func end(_ cell: Cell) -> [String] {
        ended.append(cell.id)
        return left
    }

    func abandon(_ cell: Cell, until death: Descriptor) { abandoned.append(cell.id) }

    func strays() -> Set<Stray> { [] }

    func remove(_ stray: Stray) {}
}

/// A cgroup that nobody is in.
struct PuppetCgroup: Cgroup {
    let joinFiles: [Descriptor] = []
    let birthplace: Descriptor? = nil
    let meters: CgroupMeters

    init() throws {
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        meters = CgroupMeters(
            oomEvent: null,
            oomCounter: null,
            oomEventIsKill: false,
            pidsEvents: null,
            pidsEventsAreSilent: false,
            cpuUsage: null,
            cpuUsageIsNanoseconds: false
        )
    }

    func apply(_ limits: CgroupLimits) throws(CgroupError) {}
    func applied() throws(Errno) -> CgroupLimits {
        CgroupLimits(memoryBytes: 0, swapBytes: 0, pids: 0, cpuMillicores: 0)
    }
    func contains(processCgroups text: [UInt8]) -> Bool { true }
    func counters() throws(Errno) -> CgroupCounters { CgroupCounters() }
    func isEmpty() throws(Errno) -> Bool { true }
    func kill() throws(Errno) {}
    func remove() throws(Errno) {}
}

/// Runs that are made for puppets.
enum PuppetRun {
    private static let profile = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../profiles/code.yaml").standardized.path

    /// A run whose init is `engine`'s puppet, and who waits for it with little patience.
    static func sandbox(
        _ engine: PuppetEngine,
        witness: Witness = .none,
        death: Duration = .milliseconds(50)
    ) throws -> Sandbox {
        var request = RunRequest(
            attempt: .make(milliseconds: 0),
            policy: try ProfileStore.policy(inFile: profile),
            image: RootImage(rootfs: "/", digest: ""),
            arguments: ["true"]
        )
        request.witness = witness
        var patience = Patience()
        patience.teardown = .milliseconds(50)
        patience.death = death
        return Sandbox(
            request,
            engine: engine,
            filter: [],
            store: try ArtifactStore(path: FileManager.default.temporaryDirectory.path),
            patience: patience
        )
    }
}

extension Result<Descriptor, SpawnError> {
    /// The word for what went wrong; nil when nothing did.
    var step: String? {
        if case .failure(let error) = self { error.step } else { nil }
    }
}

/// Waits until `condition` holds, where nobody tells; false after ten seconds.
func holds(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<2000 {
        if try await condition() { return true }
        // Cancelled only with the test.
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}
