// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A piece of the job's output, as it happens.
package struct OutputChunk: Sendable, Hashable {
    /// Which of the two streams.
    package enum Stream: String, Sendable {
        case stdout
        case stderr
    }

    package var stream: Stream
    /// Where in the stream the piece begins; a gap to the one before was dropped.
    package var offset: UInt64
    package var bytes: [UInt8]
}

/// Reads one output stream of the job: keeps what the cap allows, drains and counts the rest.
///
/// Belongs to the event loop's thread.
final class OutputPipe {
    /// Live bytes that nobody took yet; with more, the pipe is left alone until somebody does.
    private static let pendingLimit = 256 << 10
    private static let readsPerTurn = 8
    private static let readBytes = 64 << 10

    private let stream: OutputChunk.Stream
    private let isLive: Bool
    private let loop: EventLoop
    private let onProgress: () -> Void
    private var pipe: Descriptor?
    private var watch: EventLoop.Watch?
    private var collector: OutputCollector
    private var pending: [UInt8] = []
    private var liveBytes: UInt64 = 0
    private var isPaused = false

    /// Watches `pipe` from now on; `onProgress` is called after each turn that read something.
    init(
        _ pipe: Descriptor,
        _ stream: OutputChunk.Stream,
        limit: UInt64,
        isLive: Bool,
        on loop: EventLoop,
        _ onProgress: @escaping () -> Void
    ) throws(Errno) {
        self.stream = stream
        self.isLive = isLive
        self.loop = loop
        self.onProgress = onProgress
        collector = OutputCollector(limit: limit)
        try pipe.setNonblocking()
        self.pipe = pipe
        watch = try loop.watch(pipe, for: .readable) { [unowned self] in self.ready() }
    }

    /// All bytes seen so far.
    var totalBytes: UInt64 { collector.totalBytes }

    /// What is kept.
    var kept: KeptOutput { collector.kept }

    /// Takes the live bytes that came since the last call.
    func take() -> OutputChunk? {
        guard !pending.isEmpty else { return nil }
        let chunk = OutputChunk(
            stream: stream,
            offset: liveBytes - UInt64(pending.count),
            bytes: pending
        )
        pending = []
        if isPaused, let watch {
            isPaused = false
            loop.change(watch, to: .readable)
        }
        return chunk
    }

    /// After `close`: what is kept and was not live.
    func takeRest() -> OutputChunk? {
        let kept = collector.kept
        let rest = kept.droppedBytes == 0 ? Array(kept.head.dropFirst(Int(liveBytes))) : kept.tail
        guard !rest.isEmpty else { return nil }
        return OutputChunk(
            stream: stream,
            offset: collector.totalBytes - UInt64(rest.count),
            bytes: rest
        )
    }

    /// Takes what is in the pipe now, without waiting for its end, and lets go of it. A process that
    /// still holds the other end cannot make this wait.
    func close() {
        guard let pipe else { return }
        // The pipe's buffer is 64 KiB unless its writer enlarged it, to 1 MiB at most.
        for _ in 0..<32 where readOnce(pipe) {}
        if let watch { loop.unwatch(watch) }
        watch = nil
        self.pipe = nil
    }

    private func ready() {
        guard let pipe else { return }
        var turns = 0
        while turns < Self.readsPerTurn, readOnce(pipe) { turns += 1 }
        if turns < Self.readsPerTurn, atEnd, let watch {
            loop.unwatch(watch)
            self.watch = nil
            self.pipe = nil
        } else if pending.count > Self.pendingLimit, let watch {
            isPaused = true
            loop.change(watch, to: [])
        }
        onProgress()
    }

    private var atEnd = false

    /// Whether there may be more.
    private func readOnce(_ pipe: Descriptor) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: Self.readBytes, alignment: 16) { buffer in
            readOnce(pipe, into: buffer)
        }
    }

    private func readOnce(
        _ pipe: Descriptor,
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        let count: Int
        do throws(Errno) {
            count = try pipe.read(into: buffer)
        } catch {
            // EAGAIN: empty for now. Anything else cannot happen to a pipe that we hold open.
            return false
        }
        guard count > 0 else {
            atEnd = true
            return false
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        let inHead = collector.add(bytes)
        if isLive, inHead > 0 {
            pending.append(contentsOf: bytes[..<inHead])
            liveBytes += UInt64(inHead)
        }
        return true
    }
}
