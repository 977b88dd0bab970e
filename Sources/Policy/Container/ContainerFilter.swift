// SPDX-License-Identifier: Apache-2.0
package import JSON

extension Policy {
    /// The container's system calls, as Docker's engines take them: a seccomp profile in JSON
    /// (moby's `profiles/seccomp`).
    ///
    /// It is the outer of two filters. It lets through what the policy does and what `sandboxd-init`
    /// needs to make the sandbox; inside, the job gets the policy's own, the same as natively. Calls
    /// that the engine's libseccomp has no name for stay shut.
    package func containerFilter() -> JSONValue {
        let always = Set(
            syscalls.rules.compactMap { rule -> String? in
                switch rule.decision {
                // What is let through but for some arguments, the inner filter looks at.
                case .allow, .except: rule.name
                case .only, .refuse: nil
                }
            }
        ).union(InitCalls.names)
        var rules: [JSONValue] = [
            .object([
                "names": .array(always.sorted().map(JSONValue.string)),
                "action": .string("SCMP_ACT_ALLOW"),
            ])
        ]
        for rule in syscalls.rules where !always.contains(rule.name) {
            guard case .only(let matches, _) = rule.decision else { continue }
            rules += matches.flatMap { Self.conditions($0.tests) }.map {
                .object([
                    "names": .array([.string(rule.name)]), "action": .string("SCMP_ACT_ALLOW"),
                    "args": .array($0),
                ])
            }
        }
        return .object([
            "defaultAction": .string("SCMP_ACT_ERRNO"),
            "defaultErrnoRet": .number(String(SyscallPolicy.unlisted.code)),
            "architectures": .array([.string(syscalls.architecture.containerName)]),
            "syscalls": .array(rules),
        ])
    }

    /// All tests must hold, and of a test one value: a list of arguments for each combination.
    private static func conditions(_ tests: [ArgumentTest]) -> [[JSONValue]] {
        tests.reduce([[]]) { combinations, test in
            combinations.flatMap { combination in
                test.values.map { combination + [condition(test, $0)] }
            }
        }
    }

    private static func condition(_ test: ArgumentTest, _ value: UInt32) -> JSONValue {
        .object([
            "index": .number(String(test.argument)), "op": .string("SCMP_CMP_MASKED_EQ"),
            "value": .number(String(test.mask)), "valueTwo": .number(String(value)),
        ])
    }
}

extension Architecture {
    /// libseccomp's name for it.
    fileprivate var containerName: String {
        switch self {
        case .x86_64: "SCMP_ARCH_X86_64"
        case .aarch64: "SCMP_ARCH_AARCH64"
        }
    }
}
