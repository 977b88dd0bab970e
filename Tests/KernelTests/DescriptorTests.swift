// SPDX-License-Identifier: Apache-2.0
import Glibc
import SystemPackage
import Testing

@testable import Kernel

@Suite("Descriptors")
struct DescriptorTests {
    /// Whether the number is open, which the kernel says without touching it.
    private func isOpen(_ number: Int32) -> Bool { fcntl(number, F_GETFD) >= 0 }

    @Test("a descriptor is open while it is held and closed when nobody holds it")
    func closes() throws {
        var held: Descriptor? = try Descriptor.memory([1], name: "x")
        let number = try #require(held?.number)
        // The detector first: it must see what is open.
        #expect(isOpen(number))
        held = nil
        // Another test may have taken the number again: then it is another file.
        if isOpen(number) {
            #expect(try KernelFile.link("/proc/self/fd/\(number)") != "/memfd:x (deleted)")
        }
    }

    @Test("everything is close-on-exec from birth")
    func closeOnExec() throws {
        let (reading, writing) = try Descriptor.pipe()
        let file = try Descriptor.open("/dev/null", O_RDONLY)
        let directory = try Descriptor.open("/", O_RDONLY | O_DIRECTORY)
        let below = try directory.open("dev", O_RDONLY | O_DIRECTORY)
        let memory = try Descriptor.memory([], name: "x")
        let sealed = try Descriptor.sealedMemory([1], name: "x")
        for descriptor in [reading, writing, file, directory, below, memory, sealed] {
            #expect(fcntl(descriptor.number, F_GETFD) & FD_CLOEXEC != 0)
        }
    }

    @Test("sealed memory can be read and not be changed")
    func sealed() throws {
        let file = try Descriptor.sealedMemory([1, 2, 3], name: "x")
        #expect(throws: Errno.notPermitted) { try file.writeAll([4]) }
        #expect(ftruncate(file.number, 0) == -1)
        let again = try Descriptor.open("/proc/self/fd/\(file.number)", O_RDONLY)
        #expect(try again.readAll(limit: 10) == [1, 2, 3])
    }

    @Test("reading stops at the limit")
    func limit() throws {
        let zeros = try Descriptor.open("/dev/zero", O_RDONLY)
        #expect(try zeros.readAll(limit: 20_000).count == 20_000)
    }

    @Test("a refusal is the kernel's own reason")
    func refusal() {
        #expect(throws: Errno.noSuchFileOrDirectory) { try Descriptor.open("/no/such", O_RDONLY) }
        #expect(throws: Errno.isDirectory) { try Descriptor.open("/", O_WRONLY) }
    }

    @Test("a socket path that is too long is refused, and one that fits is not cut")
    func socketPath() {
        let long = "/" + String(repeating: "x", count: 107)
        #expect(throws: Errno.fileNameTooLong) { try UnixSocket.connect(long) }
        #expect(throws: Errno.noSuchFileOrDirectory) {
            try UnixSocket.connect(String(long.dropLast()))
        }
    }

    @Test("a duration in nanoseconds is whole, and never negative")
    func durations() {
        #expect(Duration.milliseconds(1500).wholeNanoseconds == 1_500_000_000)
        #expect(Duration.nanoseconds(1).wholeNanoseconds == 1)
        #expect(Duration.seconds(-1).wholeNanoseconds == 0)
        #expect(Duration.milliseconds(1500).milliseconds == 1500)
    }
}
