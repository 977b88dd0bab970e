// SPDX-License-Identifier: Apache-2.0

/// What a kind of task may do, as a person writes it in `profiles/NAME.yaml`.
///
/// Every key must be there, and no other: what a job may do can be read off the page, without
/// knowing anybody's defaults.
package struct Profile: Sendable, Hashable {
    /// Its name, which is its file's too.
    package let name: String

    /// What it is for, in a sentence.
    package let summary: String

    /// The image its jobs run in, by name.
    package let image: String

    /// The engines that may run it, the preferred one first.
    package let engines: [EngineKind]

    /// The OCI runtime that a container engine is to use, by the engine's name for it; nil is the
    /// engine's own choice. It may be left out.
    package let runtime: String?

    /// The ceilings its jobs live under.
    package let limits: Limits

    /// What its jobs may reach.
    package let network: Network

    /// The list of system calls it starts from, by name.
    package let syscallBase: String

    /// The system calls it adds to that list.
    let syscallAdditions: [SyscallEntry]

    /// The namespaces its jobs may make inside of their sandbox; nil is none. It may be left out.
    package let nestedNamespaces: NestedNamespaces?

    /// Where `syscallBase` is written.
    let syscallBasePlace: Place

    /// Its jobs' environment.
    package let environment: [String: String]

    /// Where its jobs start.
    package let workingDirectory: String

    /// How many sandboxes are kept ready.
    package let warm: Int

    /// The secrets that a request may ask for, by name. It may be left out, and there are none then.
    package let secrets: [String]

    /// When a person's word is needed before a run.
    package let approval: Approval

    /// A command that ends well in an image that is fit for these jobs: tried before an image is
    /// activated. It may be left out, and is `true` then.
    package let health: [String]
}

extension Profile {
    private static let keys = [
        "name", "description", "image", "engine", "limits", "network", "syscalls", "capabilities",
        "mounts", "environment", "working_directory", "warm", "runtime",
        "health", "nested_namespaces", "secrets", "approval",
    ]

    /// Reads the profile in the file at `path`.
    package init(file path: String) throws(ProfileError) {
        try self.init(try Entry(file: path))
    }

    /// Reads a profile from `yaml`; `file` is what errors call it.
    package init(yaml: String, file: String) throws(ProfileError) {
        try self.init(try Entry(yaml: yaml, file: file))
    }

    private init(_ root: Entry) throws(ProfileError) {
        let section = try root.section(Self.keys)
        name = try section.required("name").name()
        summary = try section.required("description").sentence()
        image = try section.required("image").name()
        engines = try section.required("engine").engines()
        runtime = try section.optional("runtime")?.runtime(for: engines)
        limits = try section.required("limits").limits()
        network = try section.required("network").network()
        let syscalls = try section.required("syscalls").section(["base", "allow"])
        let base = try syscalls.required("base")
        syscallBase = try base.name()
        syscallBasePlace = base.place
        syscallAdditions = try syscalls.required("allow").syscallAdditions()
        nestedNamespaces =
            if let entry = section.optional("nested_namespaces") {
                try NestedNamespaces(entry)
            } else {
                nil
            }
        try section.required("capabilities").emptyList(
            else: "a job holds no capabilities in this version"
        )
        try section.required("mounts").emptyList(
            else: "a job gets no mounts but its image and workspace in this version"
        )
        environment = try section.required("environment").environment()
        workingDirectory = try section.required("working_directory").absolutePath()
        warm = try section.required("warm").warm()
        health = try section.optional("health")?.command() ?? ["true"]
        secrets = try section.optional("secrets")?.names() ?? []
        approval = try section.optional("approval")?.approval() ?? .never
    }
}

extension Entry {
    fileprivate func engines() throws(ProfileError) -> [EngineKind] {
        var engines: [EngineKind] = []
        for entry in try list() {
            let text = try entry.text()
            guard let engine = EngineKind(rawValue: text), !engines.contains(engine) else {
                throw entry.refusal(
                    "\"\(text)\" is no engine, or there twice",
                    mend: "write native, docker, or both in the order you prefer"
                )
            }
            engines.append(engine)
        }
        guard !engines.isEmpty else {
            throw refusal("names no engine", mend: "write [native], [docker] or both")
        }
        return engines
    }

    fileprivate func runtime(for engines: [EngineKind]) throws(ProfileError) -> String {
        guard engines == [.docker] else {
            throw refusal(
                "is for a container engine, and the profile runs on others too",
                mend: "write engine: [docker], or leave the runtime out"
            )
        }
        return try name()
    }

    fileprivate func limits() throws(ProfileError) -> Limits {
        let section = try section(Limit.allCases.map(\.rawValue))
        let limits = try Limits { limit throws(ProfileError) in
            try section.required(limit.rawValue).value(of: limit)
        }
        guard limits.outputBytes <= limits.outputTotalBytes else {
            throw try section.required(Limit.outputTotal.rawValue).refusal(
                "is smaller than limits.output, which could then never be kept",
                mend: "write \(Limit.output.written(limits.outputBytes)) or more"
            )
        }
        return limits
    }

    fileprivate func syscallAdditions() throws(ProfileError) -> [SyscallEntry] {
        var additions: [SyscallEntry] = []
        for entry in try list() { additions.append(try SyscallEntry(addition: entry)) }
        return additions
    }

    fileprivate func emptyList(else problem: String) throws(ProfileError) {
        guard try list().isEmpty else { throw refusal(problem, mend: "write []") }
    }

    fileprivate func names() throws(ProfileError) -> [String] {
        var names: [String] = []
        for entry in try list() { names.append(try entry.name()) }
        guard Set(names).count == names.count else {
            throw refusal("names one twice", mend: "write each once")
        }
        return names
    }

    fileprivate func command() throws(ProfileError) -> [String] {
        var words: [String] = []
        for entry in try list() {
            let word = try entry.text()
            guard !word.utf8.contains(0), word.utf8.count <= 65_536 else {
                throw entry.refusal("has a NUL or is longer than 64 KiB", mend: "shorten it")
            }
            words.append(word)
        }
        guard words.first?.isEmpty == false, words.count <= 1000 else {
            throw refusal("is no command", mend: "write a program and its arguments, as a list")
        }
        return words
    }

    fileprivate func warm() throws(ProfileError) -> Int {
        let text = try text()
        guard text == "0" else {
            throw refusal(
                "\"\(text)\" asks for sandboxes kept ready, which this version cannot do yet",
                mend: "write 0: every run starts a fresh one"
            )
        }
        return 0
    }
}
