// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import Images

@Suite struct ImageLeaseTests {
    @Test("an image that is held cannot be removed, until the last holder lets go")
    func holding() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        var leases = [try workshop.store.hold(image), try workshop.store.hold(image)]
        for _ in 0..<2 {
            #expect(throws: ImageError.inUse("tiny")) { try workshop.store.remove("tiny") }
            #expect(try workshop.store.resolve("tiny") == image)
            leases.removeLast()
        }
        try workshop.store.remove("tiny")
        #expect(try workshop.storeListing() == ["names"])
    }

    @Test("what another process holds cannot be removed", .timeLimit(.minutes(5)))
    func acrossProcesses() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        let holder = try Holder(of: image.directory)
        #expect(throws: ImageError.inUse("tiny")) { try workshop.store.remove("tiny") }
        #expect(try !workshop.store.removeIfUnused(image.digest))
        holder.kill()
        try workshop.store.remove("tiny")
        #expect(try workshop.storeListing() == ["names"])
    }

    @Test("an image that is gone cannot be held")
    func gone() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        try workshop.store.remove("tiny")
        #expect(throws: ImageError.missing("tiny", store: workshop.store.path)) {
            try workshop.store.hold(image)
        }
    }

    @Test("a rebuilt image does not disturb who holds the old one")
    func rebuilding() throws {
        let workshop = try Workshop()
        let old = try workshop.publish("tiny", "old")
        let lease = try workshop.store.hold(old)
        try workshop.publish("tiny", "new")
        #expect(try !workshop.store.removeIfUnused(old.digest))
        #expect(try readText(lease.image.rootfs.appending("etc/motd")) == "old")
    }

    @Test(
        "a reader can hold what belongs to root",
        .enabled(if: geteuid() == 0, "only root can become somebody else"),
        .timeLimit(.minutes(5))
    )
    func otherOwner() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        let holder = try Holder(of: image.directory, uid: 65534)
        #expect(throws: ImageError.inUse("tiny")) { try workshop.store.remove("tiny") }
        holder.kill()
    }
}

/// Another process that holds an image.
private struct Holder {
    private let process = Process()
    private let input = Pipe()

    /// Starts it; the image is held when this returns.
    init(of directory: FilePath, uid: UInt32 = geteuid()) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
        process.arguments = [
            "--reuid=\(uid)", "/usr/bin/flock", "--shared", "--no-fork", directory.string, "cat",
        ]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // What comes back was written by cat, which starts when the lock is held.
        try input.fileHandleForWriting.write(contentsOf: Data([0x2e]))
        let echo = try output.fileHandleForReading.read(upToCount: 1)
        #expect(echo == Data([0x2e]))
    }

    /// Kills it with a signal that it cannot see coming.
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
