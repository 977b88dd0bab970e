// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Policy
internal import Spawner

extension RunSpec {
    /// Checks everything that does not need the kernel, and makes a request of it.
    func request(
        attempt: AttemptID,
        policy: Policy,
        image: RootImage,
        isLive: Bool
    ) throws(APIError) -> RunRequest {
        guard let program = argv.first, !program.isEmpty else {
            throw .invalid("'argv' is empty: say what to run")
        }
        for text in argv + environment.keys + environment.values + [workingDirectory ?? ""] {
            guard !text.utf8.contains(0) else {
                throw .invalid("a string of 'argv', 'env' or 'cwd' contains a NUL byte")
            }
        }
        // By bytes: a letter of Swift's may be more than the sign in it.
        for name in environment.keys where name.isEmpty || name.utf8.contains(UInt8(ascii: "=")) {
            throw .invalid("'env' has the name '\(name)': a name is not empty and has no '='")
        }
        let merged = policy.environment.merging(environment) { $1 }
        try checkStrings(merged)
        var inputs: [InputFile] = []
        for file in files { inputs.append(try file.inputFile()) }
        try Self.checkDistinct(inputs.map(\.path))
        var bytes = inputs.reduce(0) { $0 + $1.content.count }
        if case .bytes(let content) = input { bytes += content.count }
        guard bytes <= policy.limits.inputBytes else {
            throw .invalid(
                "the input is \(bytes) bytes, and the profile takes \(policy.limits.inputBytes)"
            )
        }
        if let directory = workingDirectory, !directory.hasPrefix("/") {
            throw .invalid("'cwd' is '\(directory)': give an absolute path in the sandbox")
        }
        guard witness == .none || policy.syscalls.canBeWitnessed else {
            throw .invalid(
                "profile '\(policy.name)' does not let sendmsg through, which 'explain' needs"
            )
        }
        var request = RunRequest(
            attempt: attempt,
            policy: policy,
            image: image,
            arguments: argv,
            environment: merged,
            workingDirectory: workingDirectory,
            files: inputs,
            input: input,
            collectsArtifacts: collectsArtifacts,
            isLive: isLive
        )
        request.witness = witness
        return request
    }

    /// No file is there twice, or below another.
    private static func checkDistinct(_ paths: [[UInt8]]) throws(APIError) {
        let known = Set(paths)
        guard known.count == paths.count else {
            throw .invalid("'files' has two files of the same path: give each its own")
        }
        for path in paths {
            for (index, byte) in path.enumerated() where byte == UInt8(ascii: "/") {
                guard known.contains(Array(path[..<index])) else { continue }
                let (below, above) = (
                    String(decoding: path, as: UTF8.self),
                    String(decoding: path[..<index], as: UTF8.self)
                )
                throw .invalid("file '\(below)' is below '\(above)', which is a file too")
            }
        }
    }

    private func checkStrings(_ environment: [String: String]) throws(APIError) {
        let count = max(argv.count, environment.count)
        guard count <= Int(SBX_STRINGS_COUNT_MAX) else {
            throw .invalid("'argv' or 'env' has more than \(SBX_STRINGS_COUNT_MAX) entries")
        }
        let bytes =
            argv.reduce(0) { $0 + $1.utf8.count + 1 }
            + environment.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 2 }
        guard bytes + 4096 <= Int(SBX_STRINGS_MAX) else {
            throw .invalid(
                "'argv' and 'env' are \(bytes) bytes together, and \(SBX_STRINGS_MAX - 4096) fit: "
                    + "put data into 'files' or standard input"
            )
        }
    }
}
