// SPDX-License-Identifier: Apache-2.0

/// A system call as a filter sees it: `struct seccomp_data` without the instruction pointer.
package struct SeccompCall: Sendable, Hashable {
    /// The call's number, with the bit that marks x32.
    package let number: UInt32
    /// The ABI it was made through, an `AUDIT_ARCH_` value.
    package let architecture: UInt32
    /// Its six arguments; what is missing at the end is zero.
    package let arguments: [UInt64]

    package init(number: UInt32, architecture: UInt32, arguments: [UInt64] = []) {
        precondition(arguments.count <= 6, "a system call has six arguments")
        self.number = number
        self.architecture = architecture
        self.arguments = arguments
    }

    /// The 32 bits at `offset` of `struct seccomp_data` on a little-endian machine.
    fileprivate func word(at offset: UInt32) -> UInt32 {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 16..<64:
            let index = Int(offset - 16) / 8
            guard index < arguments.count else { return 0 }
            let argument = arguments[index]
            return UInt32(truncatingIfNeeded: offset.isMultiple(of: 8) ? argument : argument >> 32)
        default: return 0
        }
    }
}

extension SeccompProgram {
    /// What the kernel would do with `call`.
    ///
    /// It knows the instructions that our filters, and libseccomp's, are made of; another one is a
    /// bug of ours and traps, as does running off the end. The kernel refuses such a filter.
    package func evaluate(_ call: SeccompCall) -> SeccompAction {
        var accumulator: UInt32 = 0
        var index = 0
        while true {
            let instruction = instructions[index]
            index += 1
            let operand = instruction.operand
            switch instruction.code {
            case Opcode.load: accumulator = call.word(at: operand)
            case Opcode.and: accumulator &= operand
            case Opcode.jump: index += Int(operand)
            case Opcode.give: return SeccompAction(rawValue: operand)
            case Opcode.jumpIfEqual: index += instruction.skip(accumulator == operand)
            case Opcode.jumpIfAtLeast: index += instruction.skip(accumulator >= operand)
            case Opcode.jumpIfGreater: index += instruction.skip(accumulator > operand)
            default: preconditionFailure("instruction \(index - 1) is none of ours")
            }
        }
    }
}

extension SeccompProgram.Instruction {
    fileprivate func skip(_ holds: Bool) -> Int {
        Int(holds ? jumpTrue : jumpFalse)
    }
}
