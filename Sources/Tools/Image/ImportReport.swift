// SPDX-License-Identifier: Apache-2.0
internal import Images

/// What an import came to, for people.
struct ImportReport {
    private let outcome: ImageImporter.Outcome
    private let name: String

    init(_ outcome: ImageImporter.Outcome, name: String) {
        self.outcome = outcome
        self.name = name
    }

    func say() {
        let image = outcome.image
        let size = "\(image.facts.bytes / 1_000_000) MB"
        let source = outcome.source
        let manifest = source.manifest.map { "@\($0)" } ?? ""
        var lines = [
            "imported \(image.digest.short), \(size)",
            "it is \(source.reference)\(manifest), configuration \(source.config)",
        ]
        if let created = outcome.config.created { lines.append("it was made at \(created)") }
        for setting in outcome.config.settings {
            lines.append("not taken over, for a profile says it: \(setting)")
        }
        if outcome.specialCount > 0 {
            lines.append("left out \(outcome.specialCount) devices and FIFOs")
        }
        if !outcome.isCurrent {
            lines.append(
                "not used yet: run `sandboxd image activate \(name) \(image.digest.short)`"
            )
        }
        for line in lines { ImageCommand.say("image \(name): \(line)") }
    }
}
