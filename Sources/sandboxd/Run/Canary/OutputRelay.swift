// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Hands on what comes out of a pipe, and hashes it.
struct OutputRelay {
    /// What a pipe or socket that is ready takes without making anybody wait (PIPE_BUF).
    private static let pieceBytes = 4096

    /// Where it goes: 1 or 2.
    let target: Int32
    private var source: Descriptor?
    /// Read and not yet written.
    private var held: ArraySlice<UInt8> = []
    private var hash = SHA256()
    private var byteCount = 0
    private var hashed = 0

    /// A relay to `target`, and the end that the command writes to; nil when a terminal is there, which
    /// the command must see.
    static func pipe(
        to target: Int32
    ) throws(Errno) -> (relay: OutputRelay, end: Descriptor)? {
        // A target that is closed stays closed.
        if isatty(target) == 1 || fcntl(target, F_GETFD) < 0 { return nil }
        let (reading, writing) = try Descriptor.pipe()
        try reading.setNonblocking()
        return (OutputRelay(target: target, source: reading), writing)
    }

    private init(target: Int32, source: Descriptor) {
        self.target = target
        self.source = source
    }

    /// Whether more may come.
    var isOpen: Bool { source != nil }
    /// Whether something waits to be written.
    var isHolding: Bool { !held.isEmpty }

    /// What it waits for: room where it writes, or something to read.
    var polls: [pollfd] {
        if isHolding { return [pollfd(fd: target, events: Int16(POLLOUT), revents: 0)] }
        guard let source else { return [] }
        return [pollfd(fd: source.number, events: Int16(POLLIN), revents: 0)]
    }

    /// What went by.
    var seen: Observation.Stream {
        Observation.Stream(
            bytes: byteCount,
            sha256: hashed == byteCount ? SHA256.hex(hash.finish()) : nil
        )
    }

    /// Does what `polls` says can be done now.
    mutating func step(_ polls: [pollfd], hashing limit: Int) {
        for poll in polls where poll.revents != 0 {
            if isHolding, poll.fd == target {
                write()
            } else if let source, !isHolding, poll.fd == source.number {
                read(source, hashing: limit)
            }
        }
    }

    private mutating func read(_ source: Descriptor, hashing limit: Int) {
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        let count = piece.withUnsafeMutableBytes {
            Glibc.read(source.number, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            self.source = nil
            return
        }
        held = piece[..<count]
        byteCount += count
        if hashed + count <= limit {
            hash.update(held)
            hashed += count
        }
    }

    private mutating func write() {
        let count = held.withUnsafeBytes { Glibc.write(target, $0.baseAddress, $0.count) }
        if count >= 0 {
            held = held.dropFirst(count)
        } else if errno != EINTR, errno != EAGAIN {
            // Nobody reads any more. The command hears so with its next write.
            held = []
            source = nil
        }
    }
}
