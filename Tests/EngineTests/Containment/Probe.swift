// SPDX-License-Identifier: Apache-2.0

/// One row of the table: what a job tries, what must become of it, and how that is proven.
struct Probe: Decodable, Sendable {
    /// The row of the list of probes, and a variant behind a dot: `R02.memfd`.
    let id: String

    /// What is true when it passes, in plain words: the test's name.
    let fact: String

    /// The profile it runs under.
    let profile: String

    /// What runs. Placeholders are not filled in yet.
    let command: ProbeCommand

    /// What runs in another sandbox, to its end, before.
    let before: ProbeCommand?

    /// What runs in another sandbox meanwhile. The probe starts after its first line.
    let beside: ProbeCommand?

    /// Layers that are off in the run itself, to show that another one still holds.
    let without: [ProbeLayer]

    /// Limits tighter than the profile's, by their names there, in bytes, milliseconds,
    /// thousandths of a core, or things.
    let limits: [String: UInt64]

    /// How many zero bytes come as standard input.
    let inputBytes: Int

    /// The stream that the probe's lines are on.
    let report: ProbeStream

    /// What the host must have for the run to prove anything.
    let needs: [ProbeNeed]

    /// What must become of the run.
    let expectation: ProbeExpectation

    /// Who looks from the host.
    let oracles: [ProbeOracle]

    /// How the same attempt is shown to succeed.
    let control: ProbeControl?

    /// Why the kernel refuses by itself, when it does: the control then proves nothing.
    let vacuous: String?

    /// Why there is no control, when there is none.
    let uncontrolled: String?

    init(from decoder: any Decoder) throws {
        let values = try StrictContainer<Key>(decoder)
        id = try values.value(.id)
        fact = try values.value(.fact)
        profile = try values.optional(.profile) ?? Host.probeProfile
        let run: [String]? = try values.optional(.run)
        let plain: [String]? = try values.optional(.command)
        switch (run, plain) {
        case (let run?, nil): command = .probe(run)
        case (nil, let plain?): command = .plain(plain)
        default: throw ProbeTableError.row(id, "has one of run and command")
        }
        before = try values.optional(.before).map(ProbeCommand.probe)
        beside = try values.optional(.beside).map(ProbeCommand.probe)
        without = try values.optional(.without) ?? []
        limits = try values.optional(.limits) ?? [:]
        inputBytes = try values.optional(.inputBytes) ?? 0
        report = try values.optional(.report) ?? .stdout
        needs = try values.optional(.needs) ?? []
        expectation = try values.optional(.expect) ?? ProbeExpectation()
        oracles = try values.optional(.oracles) ?? []
        control = try values.optional(.control)
        vacuous = try values.optional(.vacuous)
        uncontrolled = try values.optional(.uncontrolled)
    }

    private enum Key: String, CodingKey, CaseIterable {
        case id, fact, profile, run, command, before, beside, without, limits
        case inputBytes = "stdin_bytes"
        case report, needs, expect, oracles, control, vacuous, uncontrolled
    }

    /// Whether the row proves something, and says so once.
    func check() throws(ProbeTableError) {
        guard (control == nil) == (uncontrolled != nil) else {
            throw .row(id, "has either a control or a reason for none")
        }
        guard let control else { return }
        guard control.onHost != !control.without.isEmpty else {
            throw .row(id, "has a control either on the host or without layers")
        }
        guard control.proves || vacuous != nil else {
            throw .row(id, "has a control that nothing must come of")
        }
    }
}

/// A command line of a row.
enum ProbeCommand: Sendable, Hashable {
    /// The probe program with these arguments.
    case probe([String])
    /// A program of the image.
    case plain([String])

    /// The command line, with `program` as the probe's path and the placeholders filled in.
    func arguments(
        program: String,
        values: ProbeValues
    ) throws(ProbeTableError) -> [String] {
        var filled: [String] = []
        switch self {
        case .probe(let arguments):
            filled.append(program)
            for argument in arguments { filled.append(try values.fill(argument)) }
        case .plain(let arguments):
            for argument in arguments { filled.append(try values.fill(argument)) }
        }
        return filled
    }
}

/// What the placeholders of the table stand for in one run.
struct ProbeValues: Sendable {
    /// By name: `workspace` is what `${workspace}` stands for.
    var named: [String: String]

    /// `text` with every `${name}` replaced.
    func fill(_ text: String) throws(ProbeTableError) -> String {
        var filled = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else { break }
            let name = String(rest[start.upperBound..<end])
            guard let value = named[name] else { throw .unknownPlaceholder(name) }
            filled += rest[..<start.lowerBound]
            filled += value
            rest = rest[rest.index(after: end)...]
        }
        return filled + rest
    }
}
