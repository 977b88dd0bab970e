// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// Writes the job's standard input. A job that does not read, or that closes it, holds nobody up.
///
/// Belongs to the event loop's thread.
final class InputPipe {
    private let loop: EventLoop
    private var pipe: Descriptor?
    private var watch: EventLoop.Watch?
    private var rest: ArraySlice<UInt8> = []
    private var endsAfterRest = false
    private var whenWritten: [CheckedContinuation<Void, Never>] = []

    init(_ pipe: Descriptor, on loop: EventLoop) throws(Errno) {
        self.loop = loop
        try pipe.setNonblocking()
        self.pipe = pipe
    }

    /// Writes `bytes` and answers when the pipe has taken them, or when nobody reads any more.
    func feed(_ bytes: [UInt8], isolation: isolated (any Actor)? = #isolation) async {
        guard pipe != nil, !bytes.isEmpty else { return }
        rest.append(contentsOf: bytes)
        write()
        guard !rest.isEmpty else { return }
        await withCheckedContinuation { whenWritten.append($0) }
    }

    /// The end of the input, once everything is written.
    func end() {
        endsAfterRest = true
        if rest.isEmpty { close() }
    }

    /// Starts with these bytes and ends after them; does not wait.
    func fill(_ bytes: [UInt8]) {
        rest = bytes[...]
        endsAfterRest = true
        write()
    }

    /// Lets go of the pipe, and of whoever waits to write.
    func close() {
        stopWatching()
        pipe = nil
        rest = []
        let waiting = whenWritten
        whenWritten = []
        for continuation in waiting { continuation.resume() }
    }

    private func write() {
        guard let pipe else { return }
        do throws(Errno) {
            while !rest.isEmpty {
                rest = rest.dropFirst(try pipe.write(rest))
            }
        } catch .resourceTemporarilyUnavailable {
            waitForRoom(pipe)
            return
        } catch {
            // EPIPE: nobody reads any more, which is the job's right.
            close()
            return
        }
        let waiting = whenWritten
        whenWritten = []
        for continuation in waiting { continuation.resume() }
        if endsAfterRest {
            close()
        } else {
            stopWatching()
        }
    }

    /// For as long as there is nothing to write. A watch for nothing would not do: the kernel tells,
    /// again and again, that nobody reads any more, whether it is asked or not.
    private func stopWatching() {
        if let watch { loop.unwatch(watch) }
        watch = nil
    }

    private func waitForRoom(_ pipe: Descriptor) {
        guard watch == nil else { return }
        do throws(Errno) {
            watch = try loop.watch(pipe, for: .writable) { [unowned self] in self.write() }
        } catch {
            // Without a watch the rest can never be written: the job sees the end.
            close()
        }
    }
}
