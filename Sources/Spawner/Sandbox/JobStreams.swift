// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import Policy
internal import SystemPackage

/// The three standard streams of one job, from our side.
///
/// Belongs to the event loop's thread.
final class JobStreams {
    private let loop: EventLoop
    private let isLive: Bool
    private let onOutput: () -> Void
    private var input: InputPipe?
    private var output: OutputPipe?
    private var errorOutput: OutputPipe?
    private var isOver = false
    private var hasInputEnded = false
    private var feeders: [CheckedContinuation<Void, Never>] = []
    private var follower: CheckedContinuation<Void, Never>?

    /// `onOutput` is called, on the loop's thread, whenever more output was read.
    init(isLive: Bool, on loop: EventLoop, _ onOutput: @escaping () -> Void) {
        self.isLive = isLive
        self.loop = loop
        self.onOutput = onOutput
    }

    /// Makes the pipes; answers the job's ends: standard input, output and error.
    func open(_ wanted: StandardInput, limits: Limits) throws(Errno) -> [Descriptor] {
        let (outReading, outWriting) = try Descriptor.pipe()
        let (errorReading, errorWriting) = try Descriptor.pipe()
        output = try follow(outReading, .stdout, limits)
        errorOutput = try follow(errorReading, .stderr, limits)
        guard wanted != .empty else {
            return [try Descriptor.open("/dev/null", O_RDONLY), outWriting, errorWriting]
        }
        let (inReading, inWriting) = try Descriptor.pipe()
        let pipe = try InputPipe(inWriting, on: loop)
        if case .bytes(let bytes) = wanted { pipe.fill(bytes) }
        input = pipe
        if hasInputEnded { pipe.end() }
        wakeFeeders()
        return [inReading, outWriting, errorWriting]
    }

    private func follow(
        _ pipe: Descriptor,
        _ stream: OutputChunk.Stream,
        _ limits: Limits
    ) throws(Errno) -> OutputPipe {
        try OutputPipe(pipe, stream, limit: limits.outputBytes, isLive: isLive, on: loop) {
            [unowned self] in
            self.onOutput()
            self.wakeFollower()
        }
    }

    // MARK: Input

    /// Writes to the job's standard input, once there is one; comes back when the pipe has taken it,
    /// or when nobody will ever read it.
    func feed(_ bytes: [UInt8]) async {
        while input == nil, !isOver {
            await withCheckedContinuation { feeders.append($0) }
        }
        await input?.feed(bytes)
    }

    /// The end of the job's standard input, after what was fed.
    func endInput() {
        hasInputEnded = true
        input?.end()
    }

    // MARK: Output

    /// Bytes that the job wrote, to both streams.
    var totalBytes: UInt64 { (output?.totalBytes ?? 0) + (errorOutput?.totalBytes ?? 0) }

    /// What was kept of each.
    var kept: (output: KeptOutput, errorOutput: KeptOutput) {
        (output?.kept ?? KeptOutput(), errorOutput?.kept ?? KeptOutput())
    }

    /// The next pieces of live output; empty when the run is over and all has been told.
    func nextOutput() async -> [OutputChunk] {
        while true {
            let chunks = [output?.take(), errorOutput?.take()].compactMap { $0 }
            if !chunks.isEmpty || isOver { return chunks }
            await withCheckedContinuation { follower = $0 }
        }
    }

    /// What was kept and not told live; after the end.
    func rest() -> [OutputChunk] {
        [output?.takeRest(), errorOutput?.takeRest()].compactMap { $0 }
    }

    // MARK: The end

    /// Takes what the job had written, and lets go of the pipes.
    func close() {
        input?.close()
        output?.close()
        errorOutput?.close()
    }

    /// The run is over: nobody waits here any more.
    func finish() {
        isOver = true
        wakeFeeders()
        wakeFollower()
    }

    private func wakeFeeders() {
        let waiting = feeders
        feeders = []
        for continuation in waiting { continuation.resume() }
    }

    private func wakeFollower() {
        follower?.resume()
        follower = nil
    }
}
