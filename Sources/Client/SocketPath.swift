// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Where the daemon listens, when nobody says.
package enum SocketPath {
    /// `$SANDBOXD_SOCKET`, else the system's daemon, else this user's own.
    package static var standard: String {
        if let named = variable("SANDBOXD_SOCKET") { return named }
        let shared = "/var/lib/sandboxd/state/sandboxd.sock"
        if access(shared, F_OK) == 0 { return shared }
        return userState + "/sandboxd.sock"
    }

    /// Where this user's own daemon and commands keep what they keep.
    package static var userState: String {
        let home = variable("HOME") ?? "/tmp"
        return (variable("XDG_STATE_HOME") ?? home + "/.local/state") + "/sandboxd"
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
