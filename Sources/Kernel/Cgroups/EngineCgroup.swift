// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// Why what a container is in cannot be used as its cgroup.
package enum EngineCgroupError: Error, Sendable {
    /// It could not be found or read.
    case unusable(CgroupError)
    /// It is somebody else's, too, who would be counted and killed with the container.
    case shared(path: String, with: String)
}

/// The cgroup v2 directory of a container that another engine made, limited and will remove. It is
/// read here, and the only thing written is the end of what is inside.
package struct EngineCgroup: Cgroup {
    package let joinFiles: [Descriptor] = []
    package let birthplace: Descriptor? = nil
    package var meters: CgroupMeters { files.meters }

    private let path: String
    private let directory: CgroupDirectory
    private let files: CgroupV2Files

    /// Opens the cgroup of process `pid`, in which nobody may be but it and `others`, who are in the
    /// container as well: an engine that makes no cgroups leaves a container in the engine's own.
    package init(
        ofProcess pid: Int32,
        and others: Set<Int32>,
        mounts: MountTable
    ) throws(EngineCgroupError) {
        guard let mount = mounts.cgroupV2 else { throw .unusable(.noController("cgroup2")) }
        guard let path = try Self.path(ofProcess: "\(pid)"), path != "/" else {
            throw .unusable(.refused(file: "/proc/\(pid)/cgroup", .noSuchFileOrDirectory))
        }
        let own = try Self.path(ofProcess: "self")
        try self.init(path: path, below: mount, of: others.union([pid]), daemon: own)
    }

    /// Opens the cgroup at `path` when nobody is in it, or below it, but `processes`; `daemon` is where
    /// the daemon is.
    init(
        path: String,
        below mount: String,
        of processes: Set<Int32>,
        daemon: String?
    ) throws(EngineCgroupError) {
        if let daemon, (daemon + "/").hasPrefix(path + "/") {
            throw .shared(path: path, with: "the daemon")
        }
        self.path = path
        let directory = try Self.using(mount + path) { () throws(Errno) in
            try CgroupDirectory(opening: mount + path)
        }
        self.directory = directory
        let stranger = try Self.using(mount + path) { () throws(Errno) in
            try Self.stranger(to: processes, in: directory)
        }
        if let stranger { throw .shared(path: path, with: "process \(stranger)") }
        files = try Self.using(mount + path) { () throws(Errno) in try CgroupV2Files(directory) }
    }

    /// Where a process is in the hierarchy; nil when that is nowhere that we see.
    private static func path(ofProcess process: String) throws(EngineCgroupError) -> String? {
        let file = "/proc/\(process)/cgroup"
        let text = try using(file) { () throws(Errno) in try KernelFile.read(file) }
        let line = text.split(separator: "\n").first { $0.hasPrefix("0::/") }
        return line.map { String($0.dropFirst(3)) }
    }

    /// Somebody in a cgroup, or in one below it, who is none of `processes`.
    private static func stranger(
        to processes: Set<Int32>,
        in directory: CgroupDirectory
    ) throws(Errno) -> Int32? {
        // A process that we do not see is written as 0.
        let members = try directory.read("cgroup.procs").split(separator: "\n").map {
            Int32($0) ?? 0
        }
        if let found = members.first(where: { !processes.contains($0) }) { return found }
        for name in directory.children() {
            do throws(Errno) {
                let child = try CgroupDirectory(opening: directory.path + "/" + name)
                if let found = try stranger(to: processes, in: child) { return found }
            } catch .noSuchFileOrDirectory, Errno(rawValue: ENODEV) {
                // It is gone, so nobody is in it.
                continue
            }
        }
        return nil
    }

    private static func using<Value>(
        _ file: String,
        _ body: () throws(Errno) -> Value
    ) throws(EngineCgroupError) -> Value {
        do throws(Errno) { return try body() } catch {
            throw .unusable(.refused(file: file, error))
        }
    }

    /// The engine did; the read-back tells whether.
    package func apply(_ limits: CgroupLimits) throws(CgroupError) {}

    package func applied() throws(Errno) -> CgroupLimits { try files.applied() }

    package func contains(processCgroups text: [UInt8]) -> Bool {
        KernelFile.contains(text, "0::" + path + "\n")
    }

    package func counters() throws(Errno) -> CgroupCounters { try files.counters() }

    package func isEmpty() throws(Errno) -> Bool {
        do throws(Errno) {
            return try files.isEmpty()
        } catch .noSuchFileOrDirectory, Errno(rawValue: ENODEV) {
            // Gone: nothing can be in it.
            return true
        }
    }

    /// Only for what the read-back has found to be as was asked for.
    package func kill() throws(Errno) {
        try directory.write("cgroup.kill", "1")
    }

    /// It is the engine's to remove, once its container has ended.
    package func remove() throws(Errno) {
        guard access(directory.path, F_OK) != 0 else { throw .resourceBusy }
    }
}
