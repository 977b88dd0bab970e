// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Runs one of the host's small programs to its end.
enum HostProgram {
    private static let outputLimit = 2048

    /// Answers its exit status and what it printed. Waits: only for programs that end at once.
    static func run(_ arguments: [String]) throws(SpawnError) -> (status: Int32, output: String) {
        do throws(Errno) {
            let output = try Descriptor.memory([], name: arguments[0])
            let status = try kernel {
                ArgumentVector.with(arguments) { clx_run(arguments[0], $0, output.number) }
            }
            _ = try kernel { lseek(output.number, 0, SEEK_SET) }
            let text = String(decoding: try output.readAll(limit: outputLimit), as: UTF8.self)
            return (
                status == 0 ? 0 : max(1, (status >> 8) & 0xff),
                String(text.drop(while: \.isWhitespace).prefix { $0 != "\n" })
            )
        } catch {
            throw .helper(arguments[0], output: "\(error) (is Debian's 'uidmap' installed?)")
        }
    }
}
