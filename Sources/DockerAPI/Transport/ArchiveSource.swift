// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A request's body that is read from a descriptor as the engine takes it, and never held.
///
/// A file is read at once, a piece at a time; the loop serves others in between. Of anything else,
/// such as a pipe, only what is there is read, so nobody waits for its writer.
struct ArchiveSource {
    enum Piece {
        case bytes(Int)
        case end
        /// Nothing is there yet: wait for the descriptor to be readable.
        case wait
        case failed(Errno)
    }

    let file: Descriptor
    private let isFile: Bool

    /// Throws when the descriptor is none.
    init(_ file: Descriptor) throws(DockerError.Reason) {
        self.file = file
        var facts = stat()
        do throws(Errno) {
            _ = try kernel { fstat(file.number, &facts) }
        } catch {
            throw .source(error)
        }
        isFile = facts.st_mode & S_IFMT == S_IFREG
    }

    /// Reads what is there, into `buffer`.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Piece {
        do throws(Errno) {
            if !isFile {
                var question = pollfd(fd: file.number, events: Int16(POLLIN), revents: 0)
                if try kernel({ poll(&question, 1, 0) }) == 0 { return .wait }
            }
            let count = try file.read(into: buffer)
            return count == 0 ? .end : .bytes(count)
        } catch .resourceTemporarilyUnavailable {
            return .wait
        } catch {
            return .failed(error)
        }
    }
}
