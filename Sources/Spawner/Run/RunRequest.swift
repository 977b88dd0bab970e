// SPDX-License-Identifier: Apache-2.0
package import Policy

/// The file tree a sandbox runs on.
package struct RootImage: Sendable, Hashable {
    /// Absolute path of the unpacked tree.
    package var rootfs: String
    /// Names its content: `sha256-…`.
    package var digest: String

    package init(rootfs: String, digest: String) {
        self.rootfs = rootfs
        self.digest = digest
    }
}

/// A file that is in the workspace before the job's first instruction.
package struct InputFile: Sendable, Hashable {
    /// Below `/workspace`; raw bytes, already checked by `WorkspacePath`.
    package var path: [UInt8]
    package var content: [UInt8]
    /// Permission bits.
    package var mode: UInt32

    package init(path: [UInt8], content: [UInt8], mode: UInt32 = 0o644) {
        self.path = path
        self.content = content
        self.mode = mode
    }
}

/// What the job reads as standard input.
package enum StandardInput: Sendable, Hashable {
    /// Nothing.
    case empty
    /// These bytes, then the end.
    case bytes([UInt8])
    /// What `Sandbox.feed` brings, until `Sandbox.endInput`.
    case streamed
}

/// One run, resolved: a policy, an image, and what to execute.
package struct RunRequest: Sendable {
    package var attempt: AttemptID
    package var policy: Policy
    package var image: RootImage
    /// Never empty; without NUL bytes.
    package var arguments: [String]
    /// The whole environment, the profile's included.
    package var environment: [String: String]
    package var workingDirectory: String
    package var files: [InputFile]
    package var input: StandardInput
    /// Whether `/workspace/out` is collected.
    package var collectsArtifacts: Bool
    /// Whether output is wanted while the run goes on (`Sandbox.nextOutput`).
    package var isLive: Bool
    /// Which system calls are to be told of.
    package var witness = Witness.none
    /// The way out of the sandbox; nil is none.
    package var gateway: (any Gateway)?

    package init(
        attempt: AttemptID,
        policy: Policy,
        image: RootImage,
        arguments: [String],
        environment: [String: String]? = nil,
        workingDirectory: String? = nil,
        files: [InputFile] = [],
        input: StandardInput = .empty,
        collectsArtifacts: Bool = true,
        isLive: Bool = false
    ) {
        self.attempt = attempt
        self.policy = policy
        self.image = image
        self.arguments = arguments
        self.environment = environment ?? policy.environment
        self.workingDirectory = workingDirectory ?? policy.workingDirectory
        self.files = files
        self.input = input
        self.collectsArtifacts = collectsArtifacts
        self.isLive = isLive
    }
}

/// Names one attempt, everywhere: in the API, in its cgroup, in logs. Lower-case hex, 32 digits.
package struct AttemptID: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// An id that somebody else made: 32 lower-case hex digits.
    package init(hex: String) {
        precondition(hex.utf8.count == 32, "an attempt's id has 32 digits")
        description = hex
    }

    /// A new one: the time in milliseconds, then 80 random bits, so that they sort by age.
    package static func make(milliseconds: UInt64) -> AttemptID {
        var generator = SystemRandomNumberGenerator()
        let time = hex(milliseconds & 0xffff_ffff_ffff, digits: 12)
        let random = hex(generator.next(), digits: 16) + hex(generator.next() & 0xffff, digits: 4)
        return AttemptID(hex: time + random)
    }

    private static func hex(_ value: UInt64, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
