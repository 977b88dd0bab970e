// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
package import SystemPackage

/// An open file descriptor that closes itself when nobody holds it any more.
///
/// Close-on-exec from birth. The number is for kernel calls made while the object is held.
package final class Descriptor: Sendable {
    /// The descriptor's number.
    package let number: Int32

    /// Takes over an open descriptor.
    package init(owning number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }

    /// Opens a path; `flags` are open(2)'s. The C function is `open`.
    package static func open(_ path: String, _ flags: Int32) throws(Errno) -> Descriptor {
        Descriptor(owning: try kernel { clx_open(path, flags) })
    }

    /// Opens a name below a directory. The C function is `openat`.
    package func open(_ name: String, _ flags: Int32) throws(Errno) -> Descriptor {
        Descriptor(owning: try kernel { clx_openat(number, name, flags) })
    }

    /// A pipe: the end to read from, the end to write to. The C function is `pipe2`.
    package static func pipe() throws(Errno) -> (reading: Descriptor, writing: Descriptor) {
        var numbers: [Int32] = [-1, -1]
        _ = try kernel { clx_pipe(&numbers, 0) }
        return (Descriptor(owning: numbers[0]), Descriptor(owning: numbers[1]))
    }

    /// A file without a name, in memory, that holds `bytes`; read it from its start.
    package static func memory(_ bytes: [UInt8], name: String) throws(Errno) -> Descriptor {
        let file = Descriptor(owning: try kernel { clx_memfd_create(name, 0) })
        try file.writeAll(bytes)
        return file
    }

    /// The same, sealed: nobody can change it any more, whoever holds it.
    package static func sealedMemory(_ bytes: [UInt8], name: String) throws(Errno) -> Descriptor {
        let file = Descriptor(owning: try kernel { clx_memfd_create(name, 1) })
        try file.writeAll(bytes)
        _ = try kernel { clx_memfd_seal(file.number) }
        return file
    }

    /// Makes reads and writes answer EAGAIN instead of waiting.
    package func setNonblocking() throws(Errno) {
        let flags = try kernel { fcntl(number, F_GETFL) }
        _ = try kernel { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Reads once, at most `buffer.count` bytes. 0 is the end.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try kernel { Glibc.read(number, buffer.baseAddress, buffer.count) }
    }

    /// Writes once and answers how much was taken.
    package func write(_ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
        try kernel { bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) } }
    }

    /// Writes all of it, waiting as needed.
    package func writeAll(_ bytes: [UInt8]) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            rest = rest.dropFirst(try write(rest))
        }
    }

    /// Reads from the present position to the end, and no more than `limit` bytes of it.
    package func readAll(limit: Int) throws(Errno) -> [UInt8] {
        var all: [UInt8] = []
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
        defer { piece.deallocate() }
        while all.count < limit {
            let got = try read(into: piece)
            if got == 0 { break }
            all.append(contentsOf: UnsafeRawBufferPointer(rebasing: piece[..<got]))
        }
        return Array(all.prefix(limit))
    }
}
