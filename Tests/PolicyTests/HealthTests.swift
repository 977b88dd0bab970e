// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct HealthTests {
    @Test("a profile's health is a command of its own, or true")
    func command() throws {
        let profile = try Profile(yaml: Fixture.yaml, file: "sample.yaml")
        #expect(profile.health == ["true"])
        let yaml = Fixture.yaml + "\nhealth: [python3, -c, import numpy]\n"
        #expect(
            try Profile(yaml: yaml, file: "sample.yaml").health == [
                "python3", "-c", "import numpy",
            ]
        )
    }

    @Test(
        "a health that is no command is refused with file, line, key and mend",
        arguments: [
            ("health: []", "health: is no command; write a program and its arguments, as a list"),
            ("health: true", "health: is no list; write a list, such as [] for an empty one"),
            ("health: [\"\"]", "health: is no command"),
            ("health: [a, [b]]", "health[1]: is a list or a section"),
            ("health: [\"a\\0\"]", "health[0]: has a NUL"),
        ]
    )
    func malformed(line: String, problem: String) {
        let error = #expect(throws: ProfileError.self) {
            try Profile(yaml: Fixture.yaml + "\n" + line + "\n", file: "sample.yaml")
        }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }
}
