// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// Leave to make user namespaces, where AppArmor takes it from programs without a profile
/// (Ubuntu since 24.04). Elsewhere the profile would not even load: its rule is unknown there.
struct AppArmorStep: SetupStep {
    static let path = "/etc/apparmor.d/sandboxd"

    /// Whether this kernel asks for a profile.
    static var isNeeded: Bool {
        let file = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
        // Without AppArmor there is no such file.
        return (try? KernelFile.number(file)) == 1
    }

    func apply(_ setup: Setup) throws(SetupError) {
        guard Self.isNeeded else {
            setup.found("AppArmor does not restrict user namespaces here: no profile is needed")
            return
        }
        let profile = SystemFile(
            path: Self.path,
            text: try SystemFile.deployed("apparmor/sandboxd")
        )
        if profile.isInstalled {
            setup.found("AppArmor profile \(profile.path)")
            return
        }
        try setup.change("install the AppArmor profile \(profile.path)") { () throws(SetupError) in
            try profile.install(setup)
            try setup.run("apparmor_parser", ["--replace", profile.path], package: "apparmor")
        }
    }
}
