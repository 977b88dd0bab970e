// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// Pauses of an actor of the event loop, which all end at once and for good when it is to stop.
final class Pauses {
    private let loop: EventLoop
    private var going: [UInt64: (CheckedContinuation<Void, Never>, EventLoop.Timer)] = [:]
    private var next: UInt64 = 0
    private var isOver = false

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Lets time pass, but not after `end`.
    func pause(
        _ duration: Duration,
        isolation: isolated (any Actor)? = #isolation
    ) async {
        if isOver { return }
        next += 1
        let id = next
        await withCheckedContinuation { continuation in
            let timer = loop.schedule(at: .now.advanced(by: duration)) { self.end(id) }
            going[id] = (continuation, timer)
        }
    }

    /// Ends all that go on, and all that are still to come.
    func end() {
        isOver = true
        for id in going.keys.sorted() { end(id) }
    }

    private func end(_ id: UInt64) {
        guard let (continuation, timer) = going.removeValue(forKey: id) else { return }
        loop.cancel(timer)
        continuation.resume()
    }
}
