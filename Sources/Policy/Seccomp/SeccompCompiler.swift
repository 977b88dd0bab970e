// SPDX-License-Identifier: Apache-2.0

extension Policy {
    /// Compiles the policy's system calls to a filter.
    ///
    /// The same policy gives the same bytes, and a tightened policy has the same filter: compile
    /// once and keep it.
    package func seccompProgram() throws(SeccompError) -> SeccompProgram {
        try syscalls.seccompProgram()
    }
}

extension SyscallPolicy {
    /// Compiles the rules to one program: the ABI first, then a search for the call's number.
    ///
    /// libseccomp could do it, and the tests hold the two against each other. But it spends an
    /// instruction on every number where a run of neighbours needs one, and it has one default
    /// action in a filter, where `socket` needs its own: three times the instructions, which the
    /// kernel checks, translates and walks through at each start of a sandbox.
    package func seccompProgram() throws(SeccompError) -> SeccompProgram {
        let search = Self.search(segments())
        let program = SeccompProgram(
            instructions: [
                .load(at: SeccompData.architecture),
                .jump(ifEqual: architecture.rawValue, then: 1, else: 0),
                .give(.killProcess),
                .load(at: SeccompData.number),
            ] + search
        )
        guard program.instructionCount <= SeccompProgram.mostInstructions else {
            throw .tooLong(instructions: program.instructionCount)
        }
        return program
    }

    /// Cuts all 32-bit numbers into runs that get the same answer.
    private func segments() -> [Segment] {
        var bodies: [UInt32: [SeccompProgram.Instruction]] = [:]
        for rule in rules {
            // The next number is unlisted unless its own rule, which comes later, says otherwise.
            bodies[UInt32(rule.number) + 1] = Self.unlistedBody
            bodies[UInt32(rule.number)] = rule.decision.body
        }
        bodies[0] = bodies[0] ?? Self.unlistedBody
        if architecture == .x86_64 {
            // x32 calls have this bit (asm/unistd.h). -1 is what a tracer puts over a call that it
            // wants skipped.
            bodies[0x4000_0000] = [.give(.killProcess)]
            bodies[.max] = Self.unlistedBody
        }
        var segments: [Segment] = []
        for (start, body) in bodies.sorted(by: { $0.key < $1.key })
        where body != segments.last?.body {
            segments.append(Segment(start: start, body: body))
        }
        return segments
    }

    private static let unlistedBody = SyscallDecision.refuse(unlisted).body

    /// A binary search: compares with the start of the middle segment, and so on in each half.
    private static func search(_ segments: [Segment]) -> [SeccompProgram.Instruction] {
        guard segments.count > 1 else { return segments[0].body }
        let middle = segments.count / 2
        let below = search(Array(segments[..<middle]))
        let above = search(Array(segments[middle...]))
        // A conditional jump reaches 255 instructions, a plain one as far as need be.
        let compare: [SeccompProgram.Instruction] =
            if let distance = UInt8(exactly: below.count) {
                [.jump(ifAtLeast: segments[middle].start, then: distance, else: 0)]
            } else {
                [
                    .jump(ifAtLeast: segments[middle].start, then: 0, else: 1),
                    .jump(UInt32(below.count)),
                ]
            }
        return compare + below + above
    }
}

/// Numbers from `start` up to the next segment's, and what the program does with them.
private struct Segment {
    let start: UInt32
    let body: [SeccompProgram.Instruction]
}
