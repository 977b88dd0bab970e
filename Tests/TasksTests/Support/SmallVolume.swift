// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage
import Testing

/// A file system of a few mebibytes, to be filled up. Only those see it who enter it, and it is
/// gone with the process that holds it, so that nothing of it can stay behind on the machine.
struct SmallVolume {
    private static let chunk = 64 << 10

    /// Where it is, for those who have entered it.
    let path: String
    private let holder: pid_t

    /// Mounts one at a directory. To be called on the thread of an event loop.
    init(at path: String, mebibytes: Int) throws {
        let (reading, writing) = try Descriptor.pipe()
        let (user, group) = ServerProgram.owner
        let options = "size=\(mebibytes)m,mode=0700,uid=\(user),gid=\(group)"
        holder = try ServerProgram.start(
            [
                "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c",
                "mount -t tmpfs -o \(options) tmpfs \"$0\" && echo mounted && exec sleep infinity",
                path,
            ],
            output: writing
        )
        self.path = path
        // The holder has the other end, too: this comes back when it has spoken.
        var answer = [UInt8](repeating: 0, count: 256)
        let count = try answer.withUnsafeMutableBytes { try reading.read(into: $0) }
        let text = String(decoding: answer[..<count], as: UTF8.self)
        try #require(text == "mounted\n", "\(text)")
    }

    /// What lets a command see it.
    var entering: [String] { ["nsenter", "--mount", "--target", "\(holder)", "--"] }

    /// Leaves no byte of it free.
    func fill() throws {
        let file = try Descriptor.open(ballast, O_WRONLY | O_CREAT | O_APPEND)
        let zeros = [UInt8](repeating: 0, count: Self.chunk)
        // Ends: it is small.
        while true {
            do throws(Errno) { _ = try file.write(zeros[...]) } catch .noSpace { return }
        }
    }

    /// Makes room again.
    func clear() {
        unlink(ballast)
    }

    /// Lets go of it; it goes when nobody is in it any more.
    func end() {
        kill(holder, SIGKILL)
        ServerProgram.wait(for: holder)
    }

    /// What makes a path of those inside one that others can use.
    var root: String { "/proc/\(holder)/root" }

    private var ballast: String { root + path + "/ballast" }

    /// Whether this user may mount.
    static let isPossible: Bool = {
        guard geteuid() == 0, let null = try? Descriptor.open("/dev/null", O_WRONLY),
            let pid = try? ServerProgram.start(
                ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"],
                output: null
            )
        else { return false }
        return ServerProgram.wait(for: pid) == 0
    }()
}

extension Trait where Self == ConditionTrait {
    /// Needs a user who may mount a small file system.
    static var smallVolume: Self {
        .enabled(if: SmallVolume.isPossible, "only root can mount a small file system to fill up")
    }
}
