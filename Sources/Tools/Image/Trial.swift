// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Images
internal import JSON
internal import SystemPackage

/// The runs that an image must stand before it gets a name: the health command of every profile
/// that names it, each in a sandbox of the daemon's.
struct Trial {
    /// Why an image did not stand it.
    enum Failure: Error, CustomStringConvertible {
        /// No profile of the daemon's names the image, so nothing can be tried.
        case noProfile(image: String, socket: String)
        /// A health command did not end well; with the last lines that it wrote.
        case failed(profile: String, command: String, ending: String, lastLines: [String])
        /// The daemon ran it in another image than it was told.
        case otherImage(profile: String)

        var description: String {
            switch self {
            case .noProfile(let image, let socket):
                "no profile of the daemon at \(socket) names the image '\(image)': there is "
                    + "nothing to try it with, and the name stays where it is"
            case .failed(let profile, let command, let ending, let lastLines):
                ([
                    "the image does not do for profile '\(profile)': '\(command)' ended with "
                        + "\(ending), and the name stays where it is"
                        + (lastLines.isEmpty ? "" : "; its last lines were:")
                ] + lastLines.map { "    " + $0 }).joined(separator: "\n")
            case .otherImage(let profile):
                "the daemon ran profile '\(profile)' in another image than it was told: it is no "
                    + "daemon of this version"
            }
        }
    }

    private static let linesQuoted = 15
    private static let lineLimit = 500

    let daemon: DaemonAPI
    let name: String

    /// Runs them one after the other, each within its profile's limits; throws at the first that
    /// does not end well.
    func run(_ image: Image) throws {
        let profiles = try daemon.value("GET", "/v1/profiles")["profiles"]?.elements ?? []
        let concerned = profiles.filter { $0["image"]?.text == name }
        guard !concerned.isEmpty else {
            throw Failure.noProfile(image: name, socket: daemon.socket)
        }
        for profile in concerned { try run(image, profile) }
    }

    private func run(_ image: Image, _ profile: JSONValue) throws {
        let profileName = profile["name"]?.text ?? ""
        let command = profile["health"] ?? .array([.string("true")])
        let words = command.elements.compactMap(\.text).joined(separator: " ")
        let report = try daemon.report(of: [
            "profile": .string(profileName), "argv": command,
            "image": .string("\(image.digest)"), "artifacts": .bool(false),
        ])
        guard report["image_digest"]?.text == "\(image.digest)" else {
            throw Failure.otherImage(profile: profileName)
        }
        guard report["verdict"]?.text == "ok" else {
            throw Failure.failed(
                profile: profileName,
                command: Terminal.printable(String(words.prefix(Self.lineLimit))),
                ending: String(Outcome(report).summary.trimmingPrefix("sandboxd: ")),
                lastLines: Self.lastLines(report)
            )
        }
        ImageCommand.say("image \(name): stood the trial of profile '\(profileName)'")
    }

    private static func lastLines(_ report: JSONValue) -> [String] {
        let output = ["stdout", "stderr"].map { stream in
            let text = report[stream]?.text ?? ""
            let isEncoded = report[stream + "_encoding"]?.text == "base64"
            return isEncoded ? String(decoding: Base64.decode(text) ?? [], as: UTF8.self) : text
        }.joined(separator: "\n")
        let lines = output.split(whereSeparator: \.isNewline).suffix(linesQuoted)
        return lines.map { Terminal.printable(String($0.prefix(lineLimit))) }
    }
}

extension DaemonAPI {
    /// Runs something to its end, and answers the report.
    fileprivate func report(of request: [String: JSONValue]) throws(ClientError) -> JSONValue {
        let connection = try connect()
        do throws(Errno) {
            let headers = ["Content-Type": "application/json", "Accept": "application/json"]
            try connection.begin("POST", "/v1/runs", headers: headers)
            try connection.send(JSONValue.object(request).bytes)
            try connection.finish()
        } catch {
            // The daemon may have refused before it read everything: its answer says why.
        }
        let answer = try Self.accepted(try connection.response()).all()
        guard let value = JSONParser.parse(answer) else { throw .runLost }
        return value
    }
}
