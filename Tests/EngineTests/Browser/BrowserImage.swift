// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Needs the image of browser jobs.
    static var browser: Self {
        .enabled(
            if: Browser.hasImage,
            "the image browser is not built: run `sandboxd image build images/browser`"
        )
    }
}

/// Runs under the profile of browsers, beside the site under test or with pages of their own.
enum Browser {
    /// Whether the image is built.
    static let hasImage =
        access((Host.images ?? "/var/lib/sandboxd/images") + "/names/browser", F_OK) == 0
    static let site = "http://127.0.0.1:8000"
    private static let sources = Host.sources + "/Browser"

    /// A command beside the site, which is served on the sandbox's own loopback.
    static func besideSite(
        _ command: [String],
        _ more: [String: JSON] = [:]
    ) throws -> Run {
        Run(
            ["python3", "server.py"] + command,
            profile: "browser",
            ["files": .array(try files(in: ["site", "hostile"]))].merging(more) { $1 }
        )
    }

    /// The tool `browse`, beside the site.
    static func browse(_ words: String...) throws -> Run {
        try besideSite(["browse"] + words)
    }

    /// The stored picture called `name`.
    static func picture(_ name: String) -> String { sources + "/pictures/" + name }

    /// The share of pixels that differ between a stored picture and these bytes.
    static func difference(of picture: [UInt8], from name: String) throws -> Double {
        let directory = try Installation.shared.get().makeDirectory()
        let path = directory + "/" + name
        try Data(picture).write(to: URL(filePath: path))
        let ending = try Program.run([
            "python3", sources + "/compare.py", Self.picture(name), path,
        ])
        let text = ending.text.trimmingCharacters(in: .whitespacesAndNewlines)
        return try #require(Double(text), "\(ending.errorText)")
    }

    /// Pages and scripts, as input files at the top of the workspace.
    private static func files(in directories: [String]) throws -> [JSON] {
        var files: [JSON] = []
        for directory in directories.map({ sources + "/" + $0 }) {
            let names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
            for name in names where name.hasSuffix(".html") || name.hasSuffix(".py") {
                let text = try String(contentsOfFile: directory + "/" + name, encoding: .utf8)
                files.append(["path": .string(name), "text": .string(text)])
            }
        }
        return files
    }
}

extension Report {
    /// The JSON lines of standard output.
    var lines: [JSON] {
        // What is no JSON was not said by the tool.
        text.split(separator: "\n").compactMap { try? JSON(Array($0.utf8)) }
    }

    /// The digest of the artifact called `name`.
    func digest(of name: String) -> String? {
        artifacts[Array(name.utf8)]?["sha256"]?.text
    }
}
