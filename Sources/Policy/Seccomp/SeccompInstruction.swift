// SPDX-License-Identifier: Apache-2.0

/// The instructions that our filters are made of (linux/bpf_common.h, linux/filter.h).
enum Opcode {
    /// Loads the 32-bit word of `struct seccomp_data` at an offset.
    static let load: UInt16 = 0x20
    /// Keeps the bits of a mask.
    static let and: UInt16 = 0x54
    /// Skips so many instructions.
    static let jump: UInt16 = 0x05
    /// Skips by whether what is loaded is equal.
    static let jumpIfEqual: UInt16 = 0x15
    /// Skips by whether what is loaded is greater or equal.
    static let jumpIfAtLeast: UInt16 = 0x35
    /// Skips by whether what is loaded is greater; only libseccomp uses it.
    static let jumpIfGreater: UInt16 = 0x25
    /// Ends with an action.
    static let give: UInt16 = 0x06
}

/// Where the fields of `struct seccomp_data` lie (linux/seccomp.h).
enum SeccompData {
    static let number: UInt32 = 0
    static let architecture: UInt32 = 4
    static let arguments: Range<UInt32> = 16..<64

    /// The half of an argument that our tests look at; both architectures are little-endian.
    static func lowHalf(of argument: UInt32) -> UInt32 {
        arguments.lowerBound + 8 * argument
    }
}

extension SeccompProgram.Instruction {
    static func load(at offset: UInt32) -> Self {
        Self(code: Opcode.load, jumpTrue: 0, jumpFalse: 0, operand: offset)
    }

    static func and(_ mask: UInt32) -> Self {
        Self(code: Opcode.and, jumpTrue: 0, jumpFalse: 0, operand: mask)
    }

    static func jump(_ distance: UInt32) -> Self {
        Self(code: Opcode.jump, jumpTrue: 0, jumpFalse: 0, operand: distance)
    }

    static func jump(ifEqual value: UInt32, then: UInt8, else other: UInt8) -> Self {
        Self(code: Opcode.jumpIfEqual, jumpTrue: then, jumpFalse: other, operand: value)
    }

    static func jump(ifAtLeast value: UInt32, then: UInt8, else other: UInt8) -> Self {
        Self(code: Opcode.jumpIfAtLeast, jumpTrue: then, jumpFalse: other, operand: value)
    }

    static func give(_ action: SeccompAction) -> Self {
        Self(code: Opcode.give, jumpTrue: 0, jumpFalse: 0, operand: action.rawValue)
    }
}
