// SPDX-License-Identifier: Apache-2.0

/// A finished filter: what seccomp(2) takes, without anything left to compute.
package struct SeccompProgram: Sendable, Hashable {
    /// One instruction, field by field `struct sock_filter` (linux/filter.h).
    package struct Instruction: Sendable, Hashable {
        /// What to do.
        package var code: UInt16
        /// How many instructions to skip when a comparison holds.
        package var jumpTrue: UInt8
        /// How many to skip when it does not.
        package var jumpFalse: UInt8
        /// The number it works with.
        package var operand: UInt32
    }

    /// The kernel's `BPF_MAXINSNS`.
    static let mostInstructions = 4096

    /// The size of `struct sock_filter`.
    static let instructionBytes = 8

    /// The instructions in order.
    package let instructions: [Instruction]

    /// How many they are.
    package var instructionCount: Int { instructions.count }

    /// The array of `struct sock_filter`, in the byte order of this machine.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(instructions.count * Self.instructionBytes)
        for instruction in instructions {
            withUnsafeBytes(of: instruction.code) { bytes += $0 }
            bytes.append(instruction.jumpTrue)
            bytes.append(instruction.jumpFalse)
            withUnsafeBytes(of: instruction.operand) { bytes += $0 }
        }
        return bytes
    }
}

extension SeccompProgram {
    /// Reads an array of `struct sock_filter`, such as another compiler made.
    package init(bytes: [UInt8]) {
        precondition(bytes.count.isMultiple(of: Self.instructionBytes), "half an instruction")
        instructions = bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: Self.instructionBytes).map { start in
                Instruction(
                    code: bytes.loadUnaligned(fromByteOffset: start, as: UInt16.self),
                    jumpTrue: bytes[start + 2],
                    jumpFalse: bytes[start + 3],
                    operand: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self)
                )
            }
        }
    }
}
