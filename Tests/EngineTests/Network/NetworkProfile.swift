// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A directory with the shipped profiles, and one more, `net`: one of them with other lines about what
/// it may reach.
enum NetworkProfile {
    /// Answers the directory. `lines` stand in the place of what `profile` says of its network.
    static func make(_ lines: String, in profile: String = "code") throws -> String {
        let installation = try Installation.shared.get()
        let profiles = try installation.makeDirectory() + "/profiles"
        try FileManager.default.copyItem(
            atPath: installation.profiles,
            toPath: profiles
        )
        let shipped = try String(contentsOfFile: profiles + "/\(profile).yaml", encoding: .utf8)
        var net: [Substring] = []
        var isNetwork = false
        for line in shipped.split(separator: "\n", omittingEmptySubsequences: false) {
            isNetwork = line.hasPrefix("network:") || (isNetwork && line.hasPrefix(" "))
            if line.hasPrefix("network:") { net.append(lines[...]) }
            if !isNetwork { net.append(line == "name: \(profile)" ? "name: net" : line) }
        }
        let path = profiles + "/net.yaml"
        try net.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o644)
        return profiles
    }
}
