// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// Makes a kernel call that answers `-1` and sets `errno`, again for as long as it is interrupted.
///
/// Every kernel call in the package goes through here, so `errno` is read once, before anything
/// can overwrite it. The exception is `close`: Linux lets go of the descriptor even when it
/// reports `EINTR`, and a retry would close somebody else's.
package func kernel<Value: FixedWidthInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let code = errno
        if code != EINTR { throw Errno(rawValue: code) }
    }
}

/// Time that goes on while the machine sleeps and that nobody can set (`CLOCK_BOOTTIME`).
package struct Instant: Sendable, Comparable {
    /// Since the machine's start.
    package let nanoseconds: UInt64

    /// The present moment.
    package static var now: Instant {
        var time = timespec()
        // Cannot fail: the clock exists since Linux 2.6.39 and the pointer is ours.
        _ = clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        )
    }

    /// Milliseconds from `earlier` to this moment, with their fraction.
    package func milliseconds(since earlier: Instant) -> Double {
        Double(nanoseconds &- earlier.nanoseconds) / 1_000_000
    }

    /// This moment, later.
    package func advanced(by duration: Duration) -> Instant {
        Instant(nanoseconds: nanoseconds &+ duration.wholeNanoseconds)
    }

    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

extension Duration {
    /// The duration in nanoseconds; a negative one is 0.
    package var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// The duration in milliseconds, with its fraction.
    package var milliseconds: Double { Double(wholeNanoseconds) / 1_000_000 }
}
