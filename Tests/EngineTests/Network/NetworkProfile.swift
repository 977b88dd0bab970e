// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A directory with the shipped profiles, and one more, `net`: `code` with other lines about what it
/// may reach.
enum NetworkProfile {
    /// Answers the directory. `lines` stand in the place of `network: none`.
    static func make(_ lines: String) throws -> String {
        let installation = try Installation.shared.get()
        let profiles = try installation.makeDirectory() + "/profiles"
        try FileManager.default.copyItem(
            atPath: installation.directory + "/profiles",
            toPath: profiles
        )
        let code = try String(contentsOfFile: profiles + "/code.yaml", encoding: .utf8)
        let net = code.replacing("name: code", with: "name: net")
            .replacing("network: none", with: lines)
        try net.write(toFile: profiles + "/net.yaml", atomically: true, encoding: .utf8)
        chmod(profiles + "/net.yaml", 0o644)
        return profiles
    }
}
