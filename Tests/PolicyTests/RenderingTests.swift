// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy
import Testing

@Suite struct RenderingTests {
    @Test("the prose names every cap, reason and call", arguments: Fixture.profiles)
    func prose(_ name: String) throws {
        let policy = try Fixture.policy(name)
        let prose = PolicyProse.render(policy)
        let words = Set(prose.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init))
        for limit in Limit.allCases { #expect(words.contains(limit.rawValue)) }
        let onOneLine = prose.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for rule in policy.syscalls.rules {
            #expect(words.contains(rule.name))
            #expect(onOneLine.contains(rule.why), "\(rule.why)")
        }
        for line in prose.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
    }

    @Test("the prose says what the caps are in words")
    func caps() throws {
        let prose = PolicyProse.render(try Fixture.policy("code"))
        #expect(prose.contains("512MiB of memory in all, page cache and workspace included"))
        #expect(prose.contains("no swap at all"))
        #expect(prose.contains("reach any network: it has a loopback of its own and nothing else"))
        #expect(prose.contains("ptrace"))
    }

    @Test("the JSON parses, keeps the order of its keys, and has units in its names")
    func json() throws {
        let policy = try Fixture.policy("code")
        let text = policy.json()
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        )
        let limits = try #require(object["limits"] as? [String: Any])
        #expect(limits["memory_bytes"] as? Int == 512 << 20)
        #expect(limits["cpu_millicores"] as? Int == 1000)
        #expect(limits["wall_time_ms"] as? Int == 120_000)
        #expect(limits["artifact_bytes"] as? Int == 64 << 20)
        #expect(limits.count == Limit.allCases.count)
        let syscalls = try #require(object["syscalls"] as? [String: Any])
        #expect((syscalls["rules"] as? [Any])?.count == policy.syscalls.rules.count)
        let name = try #require(text.range(of: "\"name\""))
        let warm = try #require(text.range(of: "\"warm\""))
        #expect(name.lowerBound < warm.lowerBound)
        #expect(try Fixture.policy("code").json() == text)
    }

    @Test("JSON text survives what people write into an environment")
    func escapes() throws {
        let value = "a\"b\\c\u{1}\n\u{7f}é😀"
        let yaml = Fixture.yaml(
            "environment: {}",
            "environment: {A: \"a\\\"b\\\\c\\u0001\\n\\x7fé😀\"}"
        )
        let policy = try Policy(
            resolving: Profile(yaml: yaml, file: "sample.yaml"),
            lists: SyscallLists(directory: Fixture.directory + "/syscalls")
        )
        let object = try JSONSerialization.jsonObject(with: Data(policy.json().utf8))
        let environment = (object as? [String: Any])?["environment"] as? [String: String]
        #expect(environment == ["A": value])
    }

    @Test("the disassembly has a line for each instruction, with names beside numbers")
    func disassembly() throws {
        let program = try Fixture.policy("code").seccompProgram()
        let lines = program.disassembly(for: .x86_64).split(separator: "\n")
        #expect(lines.count == program.instructionCount)
        #expect(lines[0].hasSuffix("load [4]  ; architecture"))
        #expect(lines[1].hasSuffix("; x86_64"))
        #expect(lines.contains { $0.hasSuffix("; 16 ioctl") })
        #expect(lines.contains { $0.hasSuffix("give KILL_PROCESS") })
        #expect(lines.contains { $0.hasSuffix("give EAFNOSUPPORT") })
    }
}
