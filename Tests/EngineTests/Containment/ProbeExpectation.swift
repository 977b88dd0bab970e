// SPDX-License-Identifier: Apache-2.0

/// What must become of a probe's run.
///
/// Actions are named by pattern: the action itself, or its beginning and a `*`.
struct ProbeExpectation: Decodable, Sendable {
    /// What the lines must say.
    enum Lines: String, Decodable, Sendable {
        /// There is a line, and every one says `blocked`, but for those named otherwise.
        case blocked
        /// No line says `succeeded`; there may be none at all.
        case none
        /// Other things judge.
        case any
    }

    /// The verdicts that may be.
    var verdict: [ProbeVerdict] = [.ok]

    /// The exit status, for the verdict `exit`.
    var exitCode: Int?

    var lines: Lines = .blocked

    /// Actions that must succeed.
    var allowed: [String] = []

    /// Actions that may: known, documented, and no way out.
    var either: [String] = []

    /// The same in another engine's container, whose covered mounts the mount table still names.
    var eitherInContainer: [String] = []

    /// The same under the profile of browsers, which may make namespaces.
    var eitherInBrowser: [String] = []

    /// The errors that a blocked action may meet, for each pattern. An action that several patterns
    /// fit is held against the longest.
    var errnos: [String: [ProbeErrno]] = [:]

    /// Details that must be there word for word, for each pattern.
    var details: [String: String] = [:]

    /// Time from the request to the result.
    var withinMilliseconds: Int?

    /// Exactly the artifacts kept.
    var artifacts: [String]?
    /// Artifacts that must be kept.
    var artifactsInclude: [String] = []
    /// Artifacts that must not be kept.
    var artifactsExclude: [String] = []
    /// How many artifacts may be kept.
    var artifactsMost: Int?

    /// Lower-case hex digests of the streams.
    var stdoutSHA256: String?
    var stderrSHA256: String?

    /// The golden file's name, without the profile's: the run is a sweep.
    var golden: String?

    init() {}

    init(from decoder: any Decoder) throws {
        let values = try StrictContainer<Key>(decoder)
        verdict = try values.optional(.verdict) ?? [.ok]
        exitCode = try values.optional(.exitCode)
        lines = try values.optional(.lines) ?? .blocked
        allowed = try values.optional(.allowed) ?? []
        either = try values.optional(.either) ?? []
        eitherInContainer = try values.optional(.eitherInContainer) ?? []
        eitherInBrowser = try values.optional(.eitherInBrowser) ?? []
        errnos = try values.optional(.errnos) ?? [:]
        details = try values.optional(.details) ?? [:]
        withinMilliseconds = try values.optional(.withinMilliseconds)
        artifacts = try values.optional(.artifacts)
        artifactsInclude = try values.optional(.artifactsInclude) ?? []
        artifactsExclude = try values.optional(.artifactsExclude) ?? []
        artifactsMost = try values.optional(.artifactsMost)
        stdoutSHA256 = try values.optional(.stdoutSHA256)
        stderrSHA256 = try values.optional(.stderrSHA256)
        golden = try values.optional(.golden)
    }

    private enum Key: String, CodingKey, CaseIterable {
        case verdict
        case exitCode = "exit_code"
        case lines, allowed, either, errnos, details
        case eitherInContainer = "either_in_container"
        case eitherInBrowser = "either_in_browser"
        case withinMilliseconds = "within_ms"
        case artifacts
        case artifactsInclude = "artifacts_include"
        case artifactsExclude = "artifacts_exclude"
        case artifactsMost = "artifacts_most"
        case stdoutSHA256 = "stdout_sha256"
        case stderrSHA256 = "stderr_sha256"
        case golden
    }
}

/// The same attempt where nothing should stop it.
struct ProbeControl: Decodable, Sendable {
    /// Whether it runs on the bare host, as its unprivileged user.
    let onHost: Bool

    /// The layers that are off, when it runs in a sandbox.
    let without: [ProbeLayer]

    /// Other arguments than the run's, where those would do harm or take too long.
    let command: ProbeCommand?

    /// What tidies up afterwards, in the same place.
    let after: ProbeCommand?

    /// Actions that must succeed now.
    let succeeds: [String]

    /// Actions that must be blocked now: what the sandbox makes possible.
    let blocks: [String]

    /// The verdicts that may be; any when empty.
    let verdict: [ProbeVerdict]

    /// Oracles that must object: a detector proves that it detects.
    let trips: [ProbeOracle]

    /// It must still hold its output open after so long; then it is killed.
    let outlivesMilliseconds: Int?

    /// Whether a sweep must differ from the golden file.
    let goldenDiffers: Bool

    /// What the host must have for the control to succeed.
    let needs: [ProbeNeed]

    /// Whether anything must come of it.
    var proves: Bool {
        !succeeds.isEmpty || !blocks.isEmpty || !trips.isEmpty || !verdict.isEmpty
            || outlivesMilliseconds != nil || goldenDiffers
    }

    init(from decoder: any Decoder) throws {
        let values = try StrictContainer<Key>(decoder)
        onHost = try values.optional(.host) ?? false
        without = try values.optional(.without) ?? []
        command = try values.optional(.run).map(ProbeCommand.probe)
        after = try values.optional(.after).map(ProbeCommand.probe)
        succeeds = try values.optional(.succeeds) ?? []
        blocks = try values.optional(.blocks) ?? []
        verdict = try values.optional(.verdict) ?? []
        trips = try values.optional(.trips) ?? []
        outlivesMilliseconds = try values.optional(.outlivesMilliseconds)
        goldenDiffers = try values.optional(.goldenDiffers) ?? false
        needs = try values.optional(.needs) ?? []
    }

    private enum Key: String, CodingKey, CaseIterable {
        case host, without, run, after, succeeds, blocks, verdict, trips
        case outlivesMilliseconds = "outlives_ms"
        case goldenDiffers = "golden_differs"
        case needs
    }
}
