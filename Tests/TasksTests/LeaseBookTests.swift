// SPDX-License-Identifier: Apache-2.0
import Kernel
import Tasks
import Testing

@Suite("What a node holds, and when it lets go")
struct LeaseBookTests {
    private static let start = Instant.now
    private static let a = LeaseKey(task: 1, fence: 1)
    private static let b = LeaseKey(task: 2, fence: 7)

    private static func at(_ seconds: Int) -> Instant {
        start.advanced(by: .seconds(seconds))
    }

    private static func book() -> LeaseBook {
        LeaseBook(timeToLive: .seconds(20), margin: .seconds(4), registered: start)
    }

    /// What happens to a node, in order.
    enum Event: Sendable {
        case took(LeaseKey, Int)
        case ended(LeaseKey)
        case settled(LeaseKey)
        case beat(sent: Int, [LeaseOrder])
        case tick(Int)
        case cancel(Int)
        case over
        case registered(Int)
    }

    struct Row: Sendable, CustomStringConvertible {
        let description: String
        let events: [Event]
        /// What the last event asks for.
        let actions: [LeaseBook.Action]
        let held: Set<LeaseKey>
        var canLease = true
    }

    static let rows: [Row] = [
        Row(description: "a lease is held", events: [.took(a, 1)], actions: [], held: [a]),
        Row(
            description: "an ended attempt is held until it is settled",
            events: [.took(a, 1), .ended(a)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "a settled attempt is forgotten",
            events: [.took(a, 1), .ended(a), .settled(a)],
            actions: [],
            held: []
        ),
        Row(
            description: "a lease that is somebody else's is ended",
            events: [.took(a, 1), .took(b, 1), .beat(sent: 5, [LeaseOrder(key: a, why: .lost)])],
            actions: [.end(a, .lost)],
            held: [a, b]
        ),
        Row(
            description: "who is told twice ends once",
            events: [
                .took(a, 1), .cancel(1), .beat(sent: 5, [LeaseOrder(key: a, why: .cancel)]),
            ],
            actions: [],
            held: [a]
        ),
        Row(
            description: "an attempt that has ended is not ended again",
            events: [.took(a, 1), .ended(a), .cancel(1)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "a cancelled task is ended at once",
            events: [.took(a, 1), .took(b, 1), .cancel(2)],
            actions: [.end(b, .cancel)],
            held: [a, b]
        ),
        Row(
            description: "somebody else's task is nobody's concern here",
            events: [.took(a, 1), .cancel(99)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "a moment before the margin nothing happens",
            events: [.took(a, 1), .tick(15)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "without a heartbeat all is ended, a margin before others may take over",
            events: [.took(a, 1), .took(b, 1), .tick(16)],
            actions: [.end(a, .lost), .end(b, .lost), .registerAnew],
            held: [a, b],
            canLease: false
        ),
        Row(
            description: "a heartbeat counts from when it was sent",
            events: [.took(a, 1), .beat(sent: 10, []), .tick(25)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "an answer that was overtaken takes nothing back",
            events: [.took(a, 1), .beat(sent: 10, []), .beat(sent: 5, []), .tick(25)],
            actions: [],
            held: [a]
        ),
        Row(
            description: "a frozen node that wakes up ends what it held",
            events: [.took(a, 1), .beat(sent: 5, []), .tick(1000)],
            actions: [.end(a, .lost), .registerAnew],
            held: [a],
            canLease: false
        ),
        Row(
            description: "a lease that came to a node that woke too late is ended at once",
            events: [.took(a, 1000)],
            actions: [.end(a, .lost), .registerAnew],
            held: [a],
            canLease: false
        ),
        Row(
            description: "a worker that is over ends everything, once",
            events: [.took(a, 1), .over, .over],
            actions: [],
            held: [a],
            canLease: false
        ),
        Row(
            description: "a new registration leases again",
            events: [.took(a, 1), .over, .ended(a), .registered(30), .settled(a), .took(b, 31)],
            actions: [],
            held: [b]
        ),
        Row(
            description: "what the old worker held is not ended twice after a new registration",
            events: [.took(a, 1), .over, .registered(30), .tick(50)],
            actions: [.registerAnew],
            held: [a],
            canLease: false
        ),
    ]

    @Test("each event asks for what it must", arguments: rows)
    func table(_ row: Row) {
        var book = Self.book()
        var actions: [LeaseBook.Action] = []
        for event in row.events {
            switch event {
            case .took(let key, let now): actions = book.took(key, at: Self.at(now))
            case .ended(let key):
                book.ended(key)
                actions = []
            case .settled(let key):
                book.settled(key)
                actions = []
            case .beat(let sent, let orders):
                actions = book.beat(sent: Self.at(sent), orders: orders)
            case .tick(let now): actions = book.tick(Self.at(now))
            case .cancel(let task): actions = book.cancel(task: task)
            case .over: actions = book.workerIsOver()
            case .registered(let now):
                book.registered(Self.at(now))
                actions = []
            }
        }
        #expect(actions == row.actions)
        #expect(Set(book.held) == row.held)
        #expect(book.canLease == row.canLease)
    }
}
