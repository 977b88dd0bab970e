// SPDX-License-Identifier: Apache-2.0

/// The daemon's systemd unit, where there is systemd.
struct UnitStep: SetupStep {
    static let path = "/etc/systemd/system/sandboxd.service"

    func apply(_ setup: Setup) throws(SetupError) {
        guard DelegatedCgroups.isSystemdRunning else { return }
        let unit = SystemFile(path: Self.path, text: try text(for: setup.user))
        if unit.isInstalled {
            setup.found("unit \(unit.path)")
            return
        }
        try setup.change("install \(unit.path)") { () throws(SetupError) in
            try unit.install(setup)
            try setup.run("systemctl", ["daemon-reload"], package: "systemd")
        }
        setup.note("'systemctl enable --now sandboxd' starts the daemon, after 'make install'")
    }

    /// The unit as it comes, for another user if need be.
    private func text(for user: String) throws(SetupError) -> String {
        let lines = try SystemFile.deployed("sandboxd.service")
            .split(separator: "\n", omittingEmptySubsequences: false)
        return lines.map { $0 == "User=sandboxd" ? "User=" + user : String($0) }
            .joined(separator: "\n")
    }
}
