// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization
package import SystemPackage

/// One thread that waits for descriptors and for time, and that runs the actors bound to it.
///
/// It is the executor of every actor that owns descriptors, so an event is handled where the state
/// lives, without a hop between threads. It is also the thread that starts launchers: a parent-
/// death signal fires at the end of the *thread* that made the child, so it must live as long as
/// the daemon does, and this one does.
// SAFETY: `watches`, `timers`, `freeIDs` and `thread` are only touched on the loop's thread
// (asserted in `precondition`s); what other threads touch is in `inbox`, behind a lock.
package final class EventLoop: SerialExecutor, @unchecked Sendable {
    /// What a descriptor is ready for.
    package struct Readiness: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Something can be read, or the other side is gone.
        package static let readable = Readiness(rawValue: EPOLLIN.rawValue)
        /// Something can be written, or nobody reads any more.
        package static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
    }

    /// A registration; give it back to change or end it.
    package struct Watch: Sendable, Hashable {
        fileprivate let id: Int
        fileprivate let fd: Int32
    }

    /// A timer that has not fired.
    package struct Timer: Sendable, Hashable {
        fileprivate let id: UInt64
    }

    private struct Entry {
        var generation: UInt32
        var handler: (() -> Void)?
    }

    private struct Pending {
        let id: UInt64
        let at: Instant
        let handler: () -> Void
    }

    private struct Inbox {
        var jobs: [UnownedJob] = []
        var posted: [@Sendable () -> Void] = []
        var woken = false
    }

    private static let eventsPerWait = 64

    private let epoll: Descriptor
    private let waker: Descriptor
    private let inbox = Mutex(Inbox())
    private let thread = Atomic<Int32>(0)
    private var watches: [Entry] = []
    private var freeIDs: [Int] = []
    private var timers: [Pending] = []
    private var nextTimer: UInt64 = 0

    /// Starts the thread. It never ends.
    package init() throws(Errno) {
        epoll = Descriptor(owning: try kernel { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        waker = Descriptor(
            owning: try kernel {
                eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
            }
        )
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = UInt64.max
        _ = try kernel { epoll_ctl(epoll.number, EPOLL_CTL_ADD, waker.number, &event) }
        let context = Unmanaged.passRetained(self).toOpaque()
        do throws(Errno) {
            _ = try kernel {
                clx_thread(
                    { context in
                        guard let context else { return }
                        Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
                    },
                    context
                )
            }
        } catch {
            Unmanaged<EventLoop>.fromOpaque(context).release()
            throw error
        }
    }

    // MARK: Executor

    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let mustWake = inbox.withLock { inbox in
            inbox.jobs.append(unowned)
            defer { inbox.woken = true }
            return !inbox.woken
        }
        if mustWake, !isCurrent { wake() }
    }

    /// Runs `body` on the loop's thread, soon. For callbacks that cannot await.
    package func post(_ body: @escaping @Sendable () -> Void) {
        let mustWake = inbox.withLock { inbox in
            inbox.posted.append(body)
            defer { inbox.woken = true }
            return !inbox.woken
        }
        if mustWake, !isCurrent { wake() }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    package func checkIsolated() {
        precondition(isCurrent, "called off the event loop's thread")
    }

    /// Whether the caller runs on this loop's thread.
    private var isCurrent: Bool {
        thread.load(ordering: .relaxed) == clx_gettid()
    }

    private func wake() {
        var one: UInt64 = 1
        // A full counter (EAGAIN) is a wake-up already.
        _ = Glibc.write(waker.number, &one, 8)
    }

    // MARK: Descriptors and time

    /// Calls `handler` on the loop's thread whenever the descriptor is ready, until `unwatch`.
    /// The descriptor must stay open that long.
    package func watch(
        _ descriptor: Descriptor,
        for readiness: Readiness,
        _ handler: @escaping () -> Void
    ) throws(Errno) -> Watch {
        precondition(isCurrent)
        let id: Int
        if let free = freeIDs.popLast() {
            id = free
        } else {
            id = watches.count
            watches.append(Entry(generation: 0, handler: nil))
        }
        watches[id].generation &+= 1
        watches[id].handler = handler
        let watch = Watch(id: id, fd: descriptor.number)
        do throws(Errno) {
            try control(EPOLL_CTL_ADD, watch, readiness)
        } catch {
            release(watch)
            throw error
        }
        return watch
    }

    /// Waits for something else from now on; nothing at all keeps the registration asleep.
    package func change(_ watch: Watch, to readiness: Readiness) {
        precondition(isCurrent)
        // Cannot fail for a registered, open descriptor; anything else is our bug.
        do throws(Errno) { try control(EPOLL_CTL_MOD, watch, readiness) } catch {
            preconditionFailure("epoll_ctl(MOD): \(error)")
        }
    }

    /// Ends a registration. Call it before the descriptor is closed.
    package func unwatch(_ watch: Watch) {
        precondition(isCurrent)
        _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, watch.fd, nil)
        release(watch)
    }

    /// Calls `handler` once, on the loop's thread, at `instant` or up to a millisecond later.
    package func schedule(at instant: Instant, _ handler: @escaping () -> Void) -> Timer {
        precondition(isCurrent)
        nextTimer += 1
        let pending = Pending(id: nextTimer, at: instant, handler: handler)
        // Sorted, soonest last: a few hundred timers, of which most are cancelled.
        let index = timers.firstIndex { $0.at <= instant } ?? timers.endIndex
        timers.insert(pending, at: index)
        return Timer(id: pending.id)
    }

    /// Forgets a timer; one that has fired is forgotten already.
    package func cancel(_ timer: Timer) {
        precondition(isCurrent)
        timers.removeAll { $0.id == timer.id }
    }

    private func release(_ watch: Watch) {
        watches[watch.id].handler = nil
        freeIDs.append(watch.id)
    }

    private func control(
        _ operation: Int32,
        _ watch: Watch,
        _ readiness: Readiness
    ) throws(Errno) {
        var event = epoll_event()
        event.events = readiness.rawValue
        event.data.u64 =
            UInt64(watches[watch.id].generation) << 32 | UInt64(UInt32(watch.id))
        _ = try kernel { epoll_ctl(epoll.number, operation, watch.fd, &event) }
    }

    // MARK: The thread

    private func run() {
        thread.store(clx_gettid(), ordering: .relaxed)
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWait)
        while true {
            runJobs()
            let count = epoll_wait(
                epoll.number,
                &events,
                Int32(events.count),
                millisecondsToSleep()
            )
            for event in events.prefix(Int(max(0, count))) {
                dispatch(event.data.u64)
            }
            fireTimers()
        }
    }

    private func runJobs() {
        while true {
            let (jobs, posted) = inbox.withLock { inbox in
                let taken = (inbox.jobs, inbox.posted)
                inbox.jobs.removeAll(keepingCapacity: true)
                inbox.posted.removeAll(keepingCapacity: true)
                // While jobs run on this thread, others need not wake it: it looks again.
                inbox.woken = !taken.0.isEmpty || !taken.1.isEmpty
                return taken
            }
            if jobs.isEmpty, posted.isEmpty { return }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            for body in posted { body() }
        }
    }

    private func dispatch(_ token: UInt64) {
        guard token != UInt64.max else {
            var count: UInt64 = 0
            _ = Glibc.read(waker.number, &count, 8)
            return
        }
        let entry = watches[Int(token & 0xffff_ffff)]
        // A handler earlier in this batch may have ended this registration.
        guard entry.generation == UInt32(token >> 32), let handler = entry.handler else { return }
        handler()
        runJobs()
    }

    private func millisecondsToSleep() -> Int32 {
        guard let soonest = timers.last else { return -1 }
        let now = Instant.now
        guard soonest.at > now else { return 0 }
        return Int32(min(60_000, soonest.at.milliseconds(since: now).rounded(.up)))
    }

    private func fireTimers() {
        guard !timers.isEmpty else { return }
        let now = Instant.now
        while let soonest = timers.last, soonest.at <= now {
            timers.removeLast()
            soonest.handler()
        }
    }
}
