// SPDX-License-Identifier: Apache-2.0

extension SeccompProgram {
    /// The program as text, one instruction a line, with names beside numbers.
    package func disassembly(for architecture: Architecture = .host) -> String {
        let loaded = loadedOffsets()
        let width = String(instructions.count).count
        var lines: [String] = []
        for (index, instruction) in instructions.enumerated() {
            let number = String(index)
            let padding = String(repeating: " ", count: width - number.count)
            let text = instruction.text(at: index)
            let note = instruction.note(loaded: loaded[index], architecture: architecture)
            lines.append("\(padding)\(number)  \(text)\(note.map { "  ; \($0)" } ?? "")")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// For each instruction, the offset last loaded on every way there; `nil` when they differ.
    private func loadedOffsets() -> [UInt32?] {
        var offsets = [Set<UInt32>](repeating: [], count: instructions.count + 1)
        for (index, instruction) in instructions.enumerated() {
            let after: Set<UInt32> =
                instruction.code == Opcode.load ? [instruction.operand] : offsets[index]
            for next in instruction.successors(at: index) where next < offsets.count {
                offsets[next].formUnion(after)
            }
        }
        return offsets.map { $0.count == 1 ? $0.first : nil }
    }
}

extension SeccompProgram.Instruction {
    fileprivate func successors(at index: Int) -> [Int] {
        switch code {
        case Opcode.give: []
        case Opcode.jump: [index + 1 + Int(operand)]
        case Opcode.load, Opcode.and: [index + 1]
        default: [index + 1 + Int(jumpTrue), index + 1 + Int(jumpFalse)]
        }
    }

    fileprivate func text(at index: Int) -> String {
        let value = "0x" + String(operand, radix: 16)
        let targets = "then \(index + 1 + Int(jumpTrue)) else \(index + 1 + Int(jumpFalse))"
        return switch code {
        case Opcode.load: "load [\(operand)]"
        case Opcode.and: "and \(value)"
        case Opcode.jump: "goto \(index + 1 + Int(operand))"
        case Opcode.give: "give \(SeccompAction(rawValue: operand))"
        case Opcode.jumpIfEqual: "if == \(value) \(targets)"
        case Opcode.jumpIfAtLeast: "if >= \(value) \(targets)"
        default: "code \(code) \(value) \(targets)"
        }
    }

    /// What the numbers mean: the field that is loaded, or the call that is compared with.
    fileprivate func note(loaded: UInt32?, architecture: Architecture) -> String? {
        switch (code, loaded) {
        case (Opcode.load, _):
            return Self.field(at: operand)
        case (Opcode.jumpIfAtLeast, SeccompData.number):
            if operand == 0x4000_0000 { return "x32" }
            let number = Int32(bitPattern: operand)
            return Syscall.name(of: number, on: architecture).map { "\(number) \($0)" }
                ?? "\(number)"
        case (Opcode.jumpIfEqual, SeccompData.architecture):
            return Architecture(rawValue: operand)?.name
        default:
            return nil
        }
    }

    private static func field(at offset: UInt32) -> String? {
        switch offset {
        case SeccompData.number: "number"
        case SeccompData.architecture: "architecture"
        case SeccompData.arguments: "argument \((offset - SeccompData.arguments.lowerBound) / 8)"
        default: nil
        }
    }
}
