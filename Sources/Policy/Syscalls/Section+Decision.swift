// SPDX-License-Identifier: Apache-2.0

extension Section {
    /// The decision that `only_when` or `except_when` describes, or `nil` when neither is there.
    func decision(at entry: Entry) throws(ProfileError) -> SyscallDecision? {
        switch (optional("only_when"), optional("except_when")) {
        case (let only?, nil):
            return .only(when: try only.matches(), otherwise: try required("errno").errno())
        case (nil, let except?):
            return .except(when: try except.matches(), refused: try required("errno").errno())
        case (.some, .some):
            throw entry.refusal("has only_when and except_when", mend: "keep one of the two")
        case (nil, nil):
            if let errno = optional("errno") {
                throw errno.refusal(
                    "stands without only_when or except_when",
                    mend: "remove it, or add one of the two"
                )
            }
            return nil
        }
    }
}

extension Entry {
    /// The name of an error that the filter may answer with.
    func errno() throws(ProfileError) -> SyscallErrno {
        let text = try text()
        guard let errno = SyscallErrno(rawValue: text) else {
            let known = SyscallErrno.allCases.map(\.rawValue).joined(separator: ", ")
            throw refusal("\"\(text)\" is no error of ours", mend: "write one of: \(known)")
        }
        return errno
    }

    /// A system call by number, which must be the same everywhere.
    func syscallNumber() throws(ProfileError) -> Int32 {
        let text = try text()
        let shared = Syscall.commonNumbers
        guard let number = Int32(text), shared.contains(number) else {
            throw refusal(
                "\"\(text)\" is no number that every architecture shares",
                mend: "write the call's name, or a number of \(shared.lowerBound) or more"
            )
        }
        return number
    }

    fileprivate func matches() throws(ProfileError) -> [ArgumentMatch] {
        var matches: [ArgumentMatch] = []
        for entry in try list() { matches.append(try entry.match()) }
        guard !matches.isEmpty else {
            throw refusal("matches nothing", mend: "write at least one, such as {arg0: 1}")
        }
        return matches
    }

    /// One match: `{arg0: [2, 10], arg1: {mask: 0xf, equals: 1}}`.
    private func match() throws(ProfileError) -> ArgumentMatch {
        let section = try section((0..<6).map { "arg\($0)" })
        var tests: [ArgumentTest] = []
        for argument in UInt32(0)..<6 {
            guard let entry = section.optional("arg\(argument)") else { continue }
            tests.append(try entry.test(of: argument))
        }
        guard !tests.isEmpty else {
            throw refusal("tests nothing", mend: "write a test, such as {arg0: 1}")
        }
        return ArgumentMatch(tests: tests)
    }

    private func test(of argument: UInt32) throws(ProfileError) -> ArgumentTest {
        guard isSection else {
            return ArgumentTest(argument: argument, mask: .max, values: try values())
        }
        let section = try section(["mask", "equals"])
        let mask = try section.required("mask").bits()
        let values = try section.required("equals").values()
        guard mask != 0, values.allSatisfy({ $0 & ~mask == 0 }) else {
            throw refusal("can never hold, or always does", mend: "put the value inside the mask")
        }
        return ArgumentTest(argument: argument, mask: mask, values: values)
    }

    /// One value, or a list of those that will do.
    private func values() throws(ProfileError) -> [UInt32] {
        if isText { return [try bits()] }
        var values: [UInt32] = []
        for entry in try list() { values.append(try entry.bits()) }
        // A test must stay within reach of one conditional jump, which is 255 instructions.
        guard (1...16).contains(values.count), Set(values).count == values.count else {
            throw refusal("is no list of values", mend: "write 1 to 16 different ones")
        }
        return values
    }

    /// 32 bits, written as a decimal or hexadecimal number.
    private func bits() throws(ProfileError) -> UInt32 {
        let text = try text()
        let value =
            text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text, radix: 10)
        guard let value else {
            throw refusal("\"\(text)\" is no 32-bit number", mend: "write such as 16 or 0x10")
        }
        return value
    }
}
