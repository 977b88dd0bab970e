// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import CPostgres
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Processes of a server whose daemon, or whose postmaster, was killed.
///
/// They are known by what they are and where: a server works in its data directory; what makes the
/// directory has it among its arguments, and what that starts, a shell too, has it in its environment
/// from the first. No number in a file is believed, for numbers are given out again.
struct Leftovers {
    private static let politeLimit = Duration.seconds(2)
    private static let killLimit = Duration.seconds(5)

    private let directories: Set<String>
    private let argument: String
    /// nil when the cluster is there: nothing makes it.
    private let variable: String?
    private let loop: EventLoop

    /// Those of the server in this directory.
    init(of directory: ClusterDirectory, on loop: EventLoop) {
        directories = Set([directory.data, directory.unfinished].map(Self.real))
        argument = directory.makingArgument
        variable = directory.isEmpty ? directory.makingVariable : nil
        self.loop = loop
    }

    /// Ends them all and waits until they are gone.
    ///
    /// SIGQUIT is PostgreSQL's immediate shutdown. What does not heed it gets SIGKILL; either way
    /// the next server recovers from its write-ahead log.
    func end(isolation: isolated (any Actor)? = #isolation) async throws(ClusterError) {
        for (signal, limit) in [(SIGQUIT, Self.politeLimit), (SIGKILL, Self.killLimit)] {
            let found = findAll()
            if found.isEmpty { return }
            for process in found { _ = clx_pidfd_kill(process.descriptor.number, signal) }
            await DeathWatch.wait(for: found.map(\.descriptor), upTo: limit, on: loop)
        }
        let left = findAll()
        if !left.isEmpty { throw .leftovers(left.map(\.pid)) }
    }

    private struct Found {
        let pid: pid_t
        let descriptor: Descriptor
    }

    /// Looks a second time before it says that there is none: one that is just being executed shows
    /// nothing of itself.
    private func findAll() -> [Found] {
        let found = find()
        return found.isEmpty ? find() : found
    }

    private func find() -> [Found] {
        DirectoryListing.names("/proc").compactMap { name in
            guard let pid = pid_t(name), isOurs(pid) else { return nil }
            let number = cpq_pidfd_open(pid)
            guard number >= 0 else { return nil }
            let found = Found(pid: pid, descriptor: Descriptor(owning: number))
            // Once more: the number may have changed hands before the descriptor was there.
            return isOurs(pid) ? found : nil
        }
    }

    private func isOurs(_ pid: pid_t) -> Bool {
        guard let program = Self.link("/proc/\(pid)/exe"), pid != getpid() else { return false }
        if let variable, Self.list("/proc/\(pid)/environ", has: variable) { return true }
        // A killed `initdb` removes what it made, which by then may be somebody else's.
        if program.hasSuffix("/initdb") { return Self.list("/proc/\(pid)/cmdline", has: argument) }
        guard let place = Self.link("/proc/\(pid)/cwd"), directories.contains(place) else {
            return false
        }
        // An upgrade may have replaced the program under it.
        return program.hasSuffix("/postgres") || program.hasSuffix("/postgres (deleted)")
    }

    /// Of words that end with NUL each; false when the process is gone by now.
    private static func list(_ file: String, has word: String) -> Bool {
        guard let words = try? KernelFile.bytes(file) else { return false }
        return words.split(separator: 0).contains { $0.elementsEqual(word.utf8) }
    }

    /// As the kernel names it, for it may be a link to another disk.
    private static func real(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// nil: it is gone, or another user's.
    private static func link(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink(path, &bytes, bytes.count)
        guard length > 0 else { return nil }
        return String(decoding: bytes.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
