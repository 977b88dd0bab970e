// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage

/// A clock of a private server's own, by libfaketime; the machine's is left alone.
enum FakeTime {
    /// Debian's; nil when it is not installed.
    static let library: String? = {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob("/usr/lib/*/faketime/libfaketime.so.1", 0, nil, &found) == 0,
            let path = found.gl_pathv?[0]
        else { return nil }
        return String(cString: path)
    }()

    /// The variables that make a program look at the clock in a file. Only what tells the time is
    /// changed, so that pauses and time limits stay what they are.
    static func environment(_ file: String) -> [String] {
        [
            "LD_PRELOAD=\(library ?? "")", "FAKETIME_TIMESTAMP_FILE=\(file)", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ]
    }

    /// Sets the clock in a file to so many seconds from now: `-3600`. In one step, for it is read
    /// all the time.
    static func set(_ file: String, _ offset: String) throws(Errno) {
        let new = try Descriptor.open(file + ".new", O_WRONLY | O_CREAT | O_TRUNC)
        try new.writeAll(Array((offset + "\n").utf8))
        _ = try kernel { fchmod(new.number, 0o644) }
        _ = try kernel { rename(file + ".new", file) }
    }

    /// Removes what the library shares among the processes of a program, which it does by itself at
    /// an orderly end only.
    static func forget(_ process: pid_t) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] { unlink("/dev/shm/\(name)\(process)") }
    }
}
