// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import Synchronization
package import SystemPackage

/// Writing to whoever started this command.
package enum Terminal {
    /// A bit for each standard stream that is lost.
    private static let lost = Atomic<Int>(0)

    /// Whether something of a standard stream could not be read or written, though somebody was
    /// there for it: then the command has not done what it was asked for, whatever else came of it.
    package static var hasLost: Bool { lost.load(ordering: .relaxed) != 0 }

    /// All of `bytes`, raw: what a sandbox wrote goes where it would have gone without one. A
    /// stream that fails is lost: that is said once, and no more is written to it.
    package static func write(_ fd: Int32, _ bytes: [UInt8]) {
        guard lost.load(ordering: .relaxed) & 1 << fd == 0 else { return }
        do throws(Errno) {
            try writeAll(bytes, to: fd)
        } catch .brokenPipe {
            // Nobody reads any more; the run goes on and its status still counts.
        } catch .badFileDescriptor where fd == 2 {
            // It was closed from the start, by somebody who wants to hear nothing.
        } catch {
            lose(fd, error)
        }
    }

    /// Gives a standard stream up, and says so.
    package static func lose(_ fd: Int32, _ error: Errno) {
        // First, so that what is said of standard error does not come back here.
        lost.bitwiseOr(1 << Int(fd), ordering: .relaxed)
        let name = ["standard input", "standard output", "standard error"][Int(fd)]
        let end = fd == 0 ? "the command saw its end here" : "the rest of it is lost"
        say("sandboxd: \(name): \(error); \(end)")
    }

    /// Writes all of `bytes`, also to who takes them without waiting and has no room for now.
    package static func writeAll(_ bytes: [UInt8], to fd: Int32) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            do throws(Errno) {
                let count = try kernel {
                    rest.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
                }
                guard count > 0 else { throw Errno.ioError }
                rest = rest.dropFirst(count)
            } catch .resourceTemporarilyUnavailable {
                try wait(for: POLLOUT, of: fd)
            }
        }
    }

    /// Reads what there is, also from who answers at once that there is nothing for now. 0 is the
    /// end.
    package static func read(
        into buffer: UnsafeMutableRawBufferPointer,
        from fd: Int32
    ) throws(Errno) -> Int {
        while true {
            do throws(Errno) {
                return try kernel { Glibc.read(fd, buffer.baseAddress, buffer.count) }
            } catch .resourceTemporarilyUnavailable {
                try wait(for: POLLIN, of: fd)
            }
        }
    }

    /// Takes the numbers of standard streams that are closed, so that no connection gets one of
    /// them and is written to. To read or to write there fails, as before.
    package static func keepClosed() {
        for fd in Int32(0)...2 where fcntl(fd, F_GETFD) < 0 {
            _ = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY)
        }
    }

    private static func wait(for event: Int32, of fd: Int32) throws(Errno) {
        var state = pollfd(fd: fd, events: Int16(event), revents: 0)
        _ = try kernel { poll(&state, 1, -1) }
    }

    /// A line for a person, on standard error.
    package static func say(_ line: String) {
        write(2, Array((line + "\n").utf8))
    }

    /// Text from a sandbox, with everything that a terminal would act on made visible.
    package static func printable(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
                ? "\\u{" + String(scalar.value, radix: 16) + "}" : String(scalar)
        }.joined()
    }
}
