// SPDX-License-Identifier: Apache-2.0

/// Programs of a few instructions, for images that need nothing else: no compiler, no libc.
enum TinyProgram {
    /// Waits until a signal ends it.
    static var waiting: [UInt8] { elf(code.waiting) }

    /// Exits with status 7.
    static var exitingWithSeven: [UInt8] { elf(code.exiting) }

    #if arch(x86_64)
        private static let machine: UInt16 = 62
        private static let code: (waiting: [UInt8], exiting: [UInt8]) = (
            // mov eax, 34 (pause); syscall; jmp to the first
            [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7],
            // mov eax, 60 (exit); mov edi, 7; syscall
            [0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05]
        )
    #elseif arch(arm64)
        private static let machine: UInt16 = 183
        private static let code: (waiting: [UInt8], exiting: [UInt8]) = (
            // movz x0…x4, 0; movz x8, 73 (ppoll); svc 0; b to the first
            words([
                0xd280_0000, 0xd280_0001, 0xd280_0002, 0xd280_0003, 0xd280_0004, 0xd280_0928,
                0xd400_0001, 0x17ff_fff9,
            ]),
            // movz x0, 7; movz x8, 93 (exit); svc 0
            words([0xd280_00e0, 0xd280_0ba8, 0xd400_0001])
        )

        private static func words(_ words: [UInt32]) -> [UInt8] {
            words.flatMap { bytes($0) }
        }
    #endif

    /// A static executable: one header, one segment that holds the whole file.
    private static func elf(_ code: [UInt8]) -> [UInt8] {
        let base: UInt64 = 0x40_0000
        let headers: UInt64 = 64 + 56
        let size = headers + UInt64(code.count)
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        // An executable of version 1, its entry, where the segments' headers are, no sections.
        file += bytes(UInt16(2)) + bytes(machine) + bytes(UInt32(1)) + bytes(base + headers)
        file += bytes(UInt64(64)) + bytes(UInt64(0)) + bytes(UInt32(0))
        file += bytes(UInt16(64)) + bytes(UInt16(56)) + bytes(UInt16(1))
        file += bytes(UInt16(64)) + bytes(UInt16(0)) + bytes(UInt16(0))
        // To be loaded, to be read and executed.
        file += bytes(UInt32(1)) + bytes(UInt32(5)) + bytes(UInt64(0)) + bytes(base) + bytes(base)
        file += bytes(size) + bytes(size) + bytes(UInt64(0x1000))
        return file + code
    }

    private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
