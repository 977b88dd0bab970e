// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// Names that move, and images that nobody needs.
@Suite struct ImageMovingTests {
    /// A store in which `tiny` stands for "one", and "two" is there under another name.
    private func store() throws -> (workshop: Workshop, one: Image, two: Image) {
        let workshop = try Workshop()
        return (workshop, try workshop.publish("tiny", "1"), try workshop.publish("next", "2"))
    }

    @Test("a name moves to its candidate, keeps what it had, and comes back")
    func moving() throws {
        let (workshop, one, two) = try store()
        let store = workshop.store
        #expect(try store.nominate(two, for: "tiny").digest == one.digest)
        #expect(try store.resolve("tiny").digest == one.digest)
        #expect(try store.images(named: "tiny").candidate?.digest == two.digest)
        try store.activate(two, as: "tiny", insteadOf: one)
        var images = try store.images(named: "tiny")
        #expect(images.current?.digest == two.digest)
        #expect(images.previous?.digest == one.digest)
        #expect(images.candidate == nil)

        try store.rollBack("tiny", to: one, from: two)
        images = try store.images(named: "tiny")
        #expect(images.current?.digest == one.digest)
        #expect(images.previous?.digest == two.digest)
        // And forward again.
        try store.rollBack("tiny", to: two, from: one)
        #expect(try store.resolve("tiny").digest == two.digest)
    }

    @Test(
        "a name that somebody else moved meanwhile is not moved, nor one whose candidate is other"
    )
    func racing() throws {
        let (workshop, one, two) = try store()
        let three = try workshop.publish("third", "3")
        let store = workshop.store
        _ = try store.nominate(two, for: "tiny")
        _ = try store.nominate(three, for: "tiny")
        #expect(throws: ImageError.moved("tiny")) {
            try store.activate(two, as: "tiny", insteadOf: one)
        }
        try store.activate(three, as: "tiny", insteadOf: one)
        _ = try store.nominate(two, for: "tiny")
        #expect(throws: ImageError.moved("tiny")) {
            try store.activate(two, as: "tiny", insteadOf: one)
        }
        #expect(throws: ImageError.moved("tiny")) {
            try store.rollBack("tiny", to: two, from: three)
        }
        #expect(try store.resolve("tiny").digest == three.digest)
    }

    @Test("who is dismissed is no candidate any more, and nobody else is dismissed with him")
    func dismissing() throws {
        let (workshop, one, two) = try store()
        _ = try workshop.store.nominate(two, for: "tiny")
        try workshop.store.dismiss(one, from: "tiny")
        #expect(try workshop.store.images(named: "tiny").candidate?.digest == two.digest)
        try workshop.store.dismiss(two, from: "tiny")
        #expect(try workshop.store.images(named: "tiny").candidate == nil)
    }

    @Test("a name that is not there takes no candidate, nor one that is not there")
    func missing() throws {
        let (workshop, _, two) = try store()
        #expect(throws: ImageError.missing("none", store: workshop.store.path)) {
            try workshop.store.nominate(two, for: "none")
        }
        #expect(throws: ImageError.malformedName("../names")) {
            try workshop.store.nominate(two, for: "../names")
        }
        try workshop.store.remove("next")
        #expect(throws: ImageError.missing(two.digest.short, store: workshop.store.path)) {
            try workshop.store.nominate(two, for: "tiny")
        }
        #expect(try workshop.store.images(named: "tiny").candidate == nil)
    }

    @Test(
        "what a killed writer of a name left is no name, and changes none",
        .timeLimit(.minutes(1))
    )
    func atomic() throws {
        let (workshop, one, two) = try store()
        // What a writer that was killed leaves.
        try workshop.write("store/names/.tiny-1", "digest: half")
        #expect(try workshop.store.resolve("tiny").digest == one.digest)
        #expect(try workshop.store.roles()[two.digest] == [ImageRole(name: "next", kind: .current)])
        _ = try workshop.store.nominate(two, for: "tiny")
        #expect(
            try workshop.store.roles()[two.digest] == [
                ImageRole(name: "next", kind: .current), ImageRole(name: "tiny", kind: .candidate),
            ]
        )
    }

    @Test("a sweep removes what nobody needs, and a trial says the same and removes nothing")
    func sweeping() throws {
        let workshop = try Workshop()
        let images = try (1...5).map { try workshop.publish("tiny", "\($0)") }
        _ = try workshop.store.nominate(images[0], for: "tiny")
        // Current and previous are 5 and 4, the candidate is 1; nobody needs 2 and 3.
        let wanted = Set(
            [images[1], images[2]].map {
                SweptImage(digest: $0.digest, bytes: 5, isInUse: false)
            }
        )
        #expect(try Set(workshop.store.sweep(isTrial: true)) == wanted)
        #expect(try workshop.store.digests().count == 5)
        #expect(try Set(workshop.store.sweep(isTrial: false)) == wanted)
        #expect(try Set(workshop.store.digests()) == Set([0, 3, 4].map { images[$0].digest }))
        #expect(try workshop.store.sweep(isTrial: false).isEmpty)
    }

    @Test("a sweep never takes what somebody holds, and takes it when he has let go")
    func sweepingHeld() throws {
        let workshop = try Workshop()
        let images = try (1...3).map { try workshop.publish("tiny", "\($0)") }
        do {
            let lease = try workshop.store.hold(images[0])
            for isTrial in [true, false] {
                #expect(try workshop.store.sweep(isTrial: isTrial).map(\.isInUse) == [true])
            }
            #expect(try readText(lease.image.rootfs.appending("etc/motd")) == "1")
        }
        #expect(try workshop.store.sweep(isTrial: false).map(\.isInUse) == [false])
        #expect(try Set(workshop.store.digests()) == Set(images[1...].map(\.digest)))
    }

    @Test("a sweep takes what a killed build left, unless a build runs")
    func sweepingLeftovers() throws {
        let (workshop, _, _) = try store()
        try workshop.write("store/.building-1/image/rootfs/etc/motd", "half")
        do {
            let lock = try workshop.store.lockForBuilding {}
            _ = try workshop.store.sweep(isTrial: false)
            #expect(try workshop.storeListing().contains(".building-1"))
            lock.unlock()
        }
        _ = try workshop.store.sweep(isTrial: false)
        #expect(try !workshop.storeListing().contains(".building-1"))
    }

    @Test("a name that does not read ends a sweep: what it claims is not known")
    func sweepingDamaged() throws {
        let workshop = try Workshop()
        let images = try (1...3).map { try workshop.publish("tiny", "\($0)") }
        try workshop.write("store/names/tiny", "digest: gone\n")
        #expect(throws: ImageError.self) { try workshop.store.sweep(isTrial: false) }
        #expect(try Set(workshop.store.digests()) == Set(images.map(\.digest)))
    }

    @Test("a store that is not there needs no sweep")
    func sweepingNothing() throws {
        #expect(try Workshop().store.sweep(isTrial: false).isEmpty)
    }

    @Test("with a name goes what it had before and was to have, but not what others have")
    func removing() throws {
        let workshop = try Workshop()
        let images = try (1...2).map { try workshop.publish("tiny", "\($0)") }
        let shared = try workshop.publish("other", "3")
        _ = try workshop.store.nominate(shared, for: "tiny")
        try workshop.store.remove("tiny")
        #expect(try workshop.store.list() == [shared])
        #expect(try workshop.store.digests() == [shared.digest])
        _ = images
    }

    @Test("what is another name's previous stays when its own name goes")
    func removingPrevious() throws {
        let workshop = try Workshop()
        let one = try workshop.publish("tiny", "1")
        try workshop.publish("also", "1")
        try workshop.publish("tiny", "2")
        try workshop.store.remove("also")
        #expect(try workshop.store.images(named: "tiny").previous?.digest == one.digest)
        // By its digest it goes, and nobody waits for it any more.
        try workshop.store.remove(one.digest.short)
        #expect(try workshop.store.images(named: "tiny").previous == nil)
        #expect(try workshop.store.digests().count == 1)
    }
}
