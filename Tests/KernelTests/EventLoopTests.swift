// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import Kernel

/// An actor that lives on a loop, as everything that watches descriptors does.
private actor Watcher {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private var heard: [String] = []
    private var watches: [String: EventLoop.Watch] = [:]
    private var waiting: CheckedContinuation<Void, Never>?
    private var wanted = Int.max

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func watch(
        _ name: String,
        _ descriptor: Descriptor,
        then: (@Sendable (isolated Watcher) -> Void)? = nil
    ) throws {
        watches[name] = try loop.watch(descriptor, for: .readable) { [self] in
            self.assumeIsolated { watcher in
                watcher.hear(name)
                then?(watcher)
            }
        }
    }

    func unwatch(_ name: String) {
        if let watch = watches.removeValue(forKey: name) { loop.unwatch(watch) }
    }

    func schedule(_ name: String, after duration: Duration) -> EventLoop.Timer {
        loop.schedule(at: .now.advanced(by: duration)) { [self] in
            self.assumeIsolated { $0.hear(name) }
        }
    }

    func scheduleAll(_ timers: [(String, Int)]) {
        for (name, milliseconds) in timers {
            _ = schedule(name, after: .milliseconds(milliseconds))
        }
    }

    func cancel(_ timer: EventLoop.Timer) { loop.cancel(timer) }

    func hear(_ name: String) {
        heard.append(name)
        if heard.count >= wanted {
            waiting?.resume()
            waiting = nil
        }
    }

    /// What was heard, once it is so much.
    func hears(_ count: Int) async -> [String] {
        if heard.count < count {
            wanted = count
            await withCheckedContinuation { waiting = $0 }
        }
        return heard
    }
}

@Suite("The event loop", .timeLimit(.minutes(5)))
struct EventLoopTests {
    @Test("timers fire in the order of their times, whatever the order they were made in")
    func timers() async throws {
        let watcher = Watcher(try EventLoop())
        // Made in one go on the loop, which looks at the clock only afterwards.
        await watcher.scheduleAll([("late", 30), ("soon", 10), ("middle", 20)])
        #expect(await watcher.hears(3) == ["soon", "middle", "late"])
    }

    @Test("a timer that was cancelled does not fire")
    func cancelled() async throws {
        let watcher = Watcher(try EventLoop())
        let timer = await watcher.schedule("cancelled", after: .milliseconds(10))
        await watcher.cancel(timer)
        _ = await watcher.schedule("after it", after: .milliseconds(20))
        #expect(await watcher.hears(1) == ["after it"])
        await watcher.cancel(timer)
    }

    @Test("a descriptor is told of when it can be read, and until it is unwatched")
    func watching() async throws {
        let watcher = Watcher(try EventLoop())
        let (reading, writing) = try Descriptor.pipe()
        try await watcher.watch("readable", reading)
        try writing.writeAll([1])
        #expect(await watcher.hears(1).first == "readable")
        await watcher.unwatch("readable")
        let before = await watcher.hears(0).count
        _ = await watcher.schedule("timer", after: .milliseconds(20))
        #expect(await watcher.hears(before + 1).last == "timer")
        _ = reading
    }

    @Test("a handler can unwatch another descriptor of the same batch, which is then not told")
    func unwatchInBatch() async throws {
        let watcher = Watcher(try EventLoop())
        let pairs = try (0..<2).map { _ in try Descriptor.pipe() }
        for (index, pair) in pairs.enumerated() {
            try pair.writing.writeAll([1])
            // Each ends both: whichever comes first, the other must not come.
            try await watcher.watch("\(index)", pair.reading) { watcher in
                watcher.unwatch("0")
                watcher.unwatch("1")
            }
        }
        // One of the two may have been told before the second was watched at all.
        _ = await watcher.schedule("end", after: .milliseconds(30))
        while await !watcher.hears(1).contains("end") { await Task.yield() }
        let heard = await watcher.hears(1).filter { $0 != "end" }
        #expect(!heard.isEmpty && heard.count == Set(heard).count)
    }

    @Test("a handler can unwatch itself and watch another in its place")
    func reuse() async throws {
        let watcher = Watcher(try EventLoop())
        let first = try Descriptor.pipe()
        let second = try Descriptor.pipe()
        try second.writing.writeAll([1])
        try await watcher.watch("first", first.reading) { watcher in
            watcher.unwatch("first")
            // Nothing to try: both are open, and the test fails when the second is not heard of.
            try? watcher.watch("second", second.reading) { $0.unwatch("second") }
        }
        try first.writing.writeAll([1])
        #expect(await watcher.hears(2) == ["first", "second"])
    }

    @Test("what is posted runs on the loop, in order")
    func posting() async throws {
        let loop = try EventLoop()
        let watcher = Watcher(loop)
        for index in 0..<100 {
            loop.post { watcher.assumeIsolated { $0.hear("\(index)") } }
        }
        #expect(await watcher.hears(100) == (0..<100).map(String.init))
    }

    @Test("posting from many threads at once loses nothing")
    func postingFromMany() async throws {
        let loop = try EventLoop()
        let watcher = Watcher(loop)
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask {
                    for piece in 0..<20 {
                        loop.post { watcher.assumeIsolated { $0.hear("\(index).\(piece)") } }
                    }
                }
            }
        }
        #expect(Set(await watcher.hears(1000)).count == 1000)
    }

    @Test("the end of the other side counts as readable")
    func hangUp() async throws {
        let watcher = Watcher(try EventLoop())
        var pair: (reading: Descriptor, writing: Descriptor)? = try Descriptor.pipe()
        let reading = try #require(pair?.reading)
        try await watcher.watch("end", reading) { $0.unwatch("end") }
        pair = nil
        #expect(await watcher.hears(1) == ["end"])
    }
}
