// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// One attempt's directory in the daemon's own tree (v2).
struct CgroupV2: Cgroup {
    let joinFiles: [Descriptor] = []
    let birthplace: Descriptor?
    var meters: CgroupMeters { files.meters }

    private let name: String
    private let parent: CgroupDirectory
    private let directory: CgroupDirectory
    private let files: CgroupV2Files

    init(
        name: String,
        parent: CgroupDirectory,
        _ directory: CgroupDirectory
    ) throws(CgroupError) {
        self.name = name
        self.parent = parent
        self.directory = directory
        birthplace = directory.descriptor
        files = try CgroupError.refusing(directory.path) { () throws(Errno) in
            try CgroupV2Files(directory)
        }
    }

    func apply(_ limits: CgroupLimits) throws(CgroupError) {
        let values: [(String, String)] = [
            ("memory.max", String(limits.memoryBytes)),
            ("memory.swap.max", String(limits.swapBytes)),
            ("pids.max", String(limits.pids)),
            ("cpu.max", "\(limits.cpuQuotaMicroseconds) \(CgroupLimits.cpuPeriodMicroseconds)"),
            // An attempt makes no cgroups of its own.
            ("cgroup.max.descendants", "0"),
        ]
        for (file, value) in values {
            do throws(Errno) { try directory.write(file, value) } catch {
                throw .refused(file: directory.path + "/" + file, error)
            }
        }
    }

    func applied() throws(Errno) -> CgroupLimits { try files.applied() }

    func contains(processCgroups text: [UInt8]) -> Bool {
        KernelFile.contains(text, "/runs/" + name + "\n")
    }

    func counters() throws(Errno) -> CgroupCounters { try files.counters() }

    func isEmpty() throws(Errno) -> Bool { try files.isEmpty() }

    func kill() throws(Errno) {
        try directory.write("cgroup.kill", "1")
    }

    func remove() throws(Errno) {
        try parent.remove(name)
    }
}
