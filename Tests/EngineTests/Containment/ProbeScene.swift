// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What all rows share on the host: canaries, listeners, sentinels, and daemons with and without
/// their layers. Made once; ended with the process.
final class ProbeScene {
    /// A secret that no sandbox may show.
    let token: String
    let canaryDirectory: String
    let canaryFile = "canary.txt"
    /// The probe, where the unprivileged user can execute it.
    let program: String
    let listeners: CanaryListeners
    private var daemons: [Set<String>: TestDaemon] = [:]

    /// The layers that a debug build of the daemon can leave out, in its own words.
    let knownLayers: Set<String>

    init() throws {
        let installation = try Installation.shared.get()
        token = "canary" + UUID().uuidString.replacing("-", with: "")
        canaryDirectory = try installation.makeDirectory()
        try Data(token.utf8).write(to: URL(filePath: canaryDirectory + "/" + canaryFile))
        chmod(canaryDirectory + "/" + canaryFile, 0o644)
        program = installation.directory + "/probe"
        try FileManager.default.copyItem(atPath: try #require(Host.probe), toPath: program)
        chmod(program, 0o755)
        // What a control that was interrupted left would hide what the next one leaves.
        _ = try Program.run([program, "remove-residue"])
        listeners = try CanaryListeners(directory: canaryDirectory, token: token)
        knownLayers = try Self.askForLayers(in: installation.makeDirectory())
    }

    /// The daemon refuses a layer it does not know, and says which it does.
    private static func askForLayers(in directory: String) throws -> Set<String> {
        let ending = try TestDaemon.start(
            ["--insecure-without", "none-such"],
            directory: directory
        )
        .ending(within: .seconds(20))
        guard let known = ending.errorText.split(separator: "(known: ").dropFirst().first else {
            return []
        }
        let names = known.prefix { $0 != ")" }.split(separator: ",")
        return Set(names.map { $0.trimmingCharacters(in: .whitespaces) })
    }

    /// The daemon that leaves out these layers and has a secret in its environment.
    func daemon(without layers: [ProbeLayer] = []) throws -> TestDaemon {
        let names = layers.map(\.rawValue)
        if let daemon = daemons[Set(names)] { return daemon }
        let options = names.isEmpty ? [] : ["--insecure-without", names.joined(separator: ",")]
        let daemon = try TestDaemon(options, environment: ["CANARY_SECRET": token])
        let file = daemon.state + "/" + canaryFile
        try Data(token.utf8).write(to: URL(filePath: file))
        chmod(file, 0o644)
        // Its launcher and its first spare sandbox stand before anything is compared.
        for profile in Set(["code", "shell", Host.probeProfile]) {
            _ = try daemon.api.run(Run(["true"], profile: profile))
        }
        daemons[Set(names)] = daemon
        return daemon
    }

    /// Stops all daemons; each must leave nothing.
    func end() {
        for daemon in daemons.values { daemon.stop() }
        daemons = [:]
    }

    /// What the placeholders stand for, for a run in `workspace` and a daemon.
    func values(workspace: String, daemon: TestDaemon) -> ProbeValues {
        var names = utsname()
        uname(&names)
        let node = withUnsafeBytes(of: names.nodename) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        func line(_ path: String) -> String {
            (ProcessTable.read(path) ?? "none").trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return ProbeValues(named: [
            "workspace": workspace, "token": token, "token_reversed": String(token.reversed()),
            "canary_directory": canaryDirectory, "canary_file": canaryFile,
            "open_socket": listeners.path, "listener_port": String(listeners.port),
            "abstract_name": listeners.abstractName, "state_directory": daemon.state,
            "daemon_socket": daemon.socket, "image_store": Self.imageStore, "host_name": node,
            "machine_id": line("/etc/machine-id"),
            "boot_id": line("/proc/sys/kernel/random/boot_id"),
            "host_user": Host.user, "host_address": Self.hostAddress,
        ])
    }

    static var imageStore: String { Host.images ?? "/var/lib/sandboxd/images" }

    /// An address of the host's that is not its loopback, when it has one.
    private static let hostAddress: String = {
        // Without the tool or an address the loopback stands in.
        let ending = try? Program.run(["hostname", "-I"])
        return ending?.text.split(separator: " ").first.map(String.init) ?? "127.0.0.1"
    }()
}
