// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// The cgroup v2 directory of a container that another engine made, limited and will remove. It is
/// read here, and the only thing written is the end of what is inside.
package struct EngineCgroup: Cgroup {
    package let joinFiles: [Descriptor] = []
    package let birthplace: Descriptor? = nil
    package var meters: CgroupMeters { files.meters }

    private let path: String
    private let directory: CgroupDirectory
    private let files: CgroupV2Files

    /// Opens the cgroup of process `pid`.
    package init(ofProcess pid: Int32, mounts: MountTable) throws(CgroupError) {
        guard let mount = mounts.cgroupV2 else { throw .noController("cgroup2") }
        let file = "/proc/\(pid)/cgroup"
        let text = try CgroupError.refusing(file) { () throws(Errno) in
            try KernelFile.read(file)
        }
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }),
            case let path = String(line.dropFirst(3)), path != "/"
        else { throw .refused(file: file, .noSuchFileOrDirectory) }
        self.path = path
        let directory = try CgroupError.refusing(mount + path) { () throws(Errno) in
            try CgroupDirectory(opening: mount + path)
        }
        self.directory = directory
        files = try CgroupError.refusing(mount + path) { () throws(Errno) in
            try CgroupV2Files(directory)
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

    package func kill() throws(Errno) {
        try directory.write("cgroup.kill", "1")
    }

    /// It is the engine's to remove, once its container has ended.
    package func remove() throws(Errno) {
        guard access(directory.path, F_OK) != 0 else { throw .resourceBusy }
    }
}
