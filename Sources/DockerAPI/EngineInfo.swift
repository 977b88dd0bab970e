// SPDX-License-Identifier: Apache-2.0

/// What an engine says that it is and can do. What it does not say is nil.
///
/// It is what the engine believes. Podman 4.3 without root says on cgroup v1 that it can limit
/// memory, and cannot: what matters is read back from the container.
package struct EngineInfo: Sendable, Hashable {
    /// Which limits the engine says it can set.
    package struct Limits: Sendable, Hashable {
        package let memory: Bool?
        package let swap: Bool?
        package let pids: Bool?
        /// CPU time by period and quota.
        package let cpuQuota: Bool?
        package let cpuSet: Bool?
    }

    package let engine: EngineVersion
    /// The version that calls are made in.
    package let agreedVersion: APIVersion
    /// Whether it says that it runs without root's rights.
    package let isRootless: Bool
    /// The user who listens on the socket, by the kernel's word: 0 is root, whatever the engine
    /// says. With socket activation it is whoever runs the service manager.
    package let listener: UInt32?
    /// "systemd", "cgroupfs", or "none": then no limit is set.
    package let cgroupDriver: String?
    /// "1" or "2".
    package let cgroupVersion: String?
    package let limits: Limits
    /// Names of OCI runtimes, sorted. Podman lists what it has heard of, installed or not.
    package let runtimes: [String]
    package let defaultRuntime: String?
    package let storageDriver: String?
    /// As the engine writes them: "name=seccomp,profile=default".
    package let securityOptions: [String]
    /// As uname(2) says: "x86_64"; Podman says "amd64".
    package let architecture: String?
    package let operatingSystem: String?
    package let kernelVersion: String?
    package let memoryBytes: Int?
    package let processors: Int?
    /// What the engine warns of, each fit for one line.
    package let warnings: [String]

    /// Whether containers can have a filter for system calls.
    package var hasSeccomp: Bool { Self.has("seccomp", securityOptions) }

    fileprivate static func has(_ name: String, _ options: [String]) -> Bool {
        options.contains { $0.split(separator: ",").contains("name=\(name)") }
    }
}

extension EngineInfo {
    init(
        _ answer: Reading,
        engine: EngineVersion,
        agreedVersion: APIVersion,
        listener: UInt32?
    ) throws(DockerError.Reason) {
        self.engine = engine
        self.agreedVersion = agreedVersion
        self.listener = listener
        securityOptions = try answer.texts("SecurityOptions")
        // Podman 4 has a flag of its own instead of the option.
        let says = try answer.flag("Rootless") ?? false
        isRootless = says || Self.has("rootless", securityOptions)
        cgroupDriver = try answer.text("CgroupDriver")
        cgroupVersion = try answer.text("CgroupVersion")
        limits = Limits(
            memory: try answer.flag("MemoryLimit"),
            swap: try answer.flag("SwapLimit"),
            pids: try answer.flag("PidsLimit"),
            cpuQuota: try answer.flag("CpuCfsQuota"),
            cpuSet: try answer.flag("CPUSet")
        )
        runtimes = try answer.keys("Runtimes")
        defaultRuntime = try answer.text("DefaultRuntime")
        storageDriver = try answer.text("Driver")
        architecture = try answer.text("Architecture")
        operatingSystem = try answer.text("OSType")
        kernelVersion = try answer.text("KernelVersion")
        memoryBytes = try answer.integer("MemTotal")
        processors = try answer.integer("NCPU")
        warnings = try answer.texts("Warnings").map { Visible.text($0) }
    }
}

extension DockerClient {
    /// Asks the engine what it is.
    package func info(limits: CallLimits = .question) async throws(DockerError) -> EngineInfo {
        let budget = CallBudget(.info, limits)
        let version = try await ask(EngineRequest(.version, .get, "/version", limits: limits))
        let answer = try await ask(EngineRequest(.info, .get, "/info", limits: try budget.rest()))
        let agreed = try await agree(within: limits)
        let listener = listener
        let engine = try Self.reading(.version) { () throws(DockerError.Reason) in
            try EngineVersion(Reading(version))
        }
        return try Self.reading(.info) { () throws(DockerError.Reason) in
            try EngineInfo(
                Reading(answer),
                engine: engine,
                agreedVersion: agreed.version,
                listener: listener
            )
        }
    }
}
