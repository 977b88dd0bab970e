// SPDX-License-Identifier: Apache-2.0
import Glibc
import SystemPackage
import Testing

@testable import Images

@Suite(.timeLimit(.minutes(1))) struct ToolTests {
    private static let searchPath: [FilePath] = ["/usr/bin", "/bin"]

    private func run(_ script: String) throws -> [String] {
        let lock = try Descriptor("/etc/hostname", O_RDONLY)
        var lines: [String] = []
        let shell = try Tool("sh", searchPath: Self.searchPath, environment: ["A": "b c"])
        try shell.run(["-c", script], holding: lock) { lines.append($0) }
        return lines
    }

    @Test("both outputs come line by line, without what a terminal would obey")
    func lines() throws {
        let script = #"echo one; echo two >&2; echo; printf '\033[31mred\a\r\nlast'"#
        #expect(try run(script) == ["one", "two", "[31mred", "last"])
    }

    @Test("a line without end is cut")
    func longLine() throws {
        let lines = try run("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo y")
        #expect(lines.map(\.utf8.count) == [1000, 1])
    }

    @Test("a tool gets the environment it is given, and nothing else")
    func environment() throws {
        setenv("SANDBOXD_SECRET", "1", 1)
        let lines = try run("env | grep -v '^_=\\|^PWD=' | sort")
        #expect(lines == ["A=b c", "PATH=/usr/bin:/bin"])
    }

    @Test("a tool gets no descriptor but the standard ones and the lock")
    func descriptors() throws {
        // Without close-on-exec, as a careless caller of ours may leave one. The number is the
        // kernel's choice: tests run side by side, and a fixed one may be somebody else's.
        let left = fcntl(1, F_DUPFD, 200)
        try #require(left >= 200)
        defer { close(left) }
        #expect(try run("readlink /proc/$$/fd/3") == ["/etc/hostname"])
        #expect(try run("readlink /proc/$$/fd/\(left) || echo closed") == ["closed"])
    }

    @Test("only the last lines are kept for an error")
    func failing() throws {
        let error = #expect(throws: ImageError.self) { try run("seq 100; exit 3") }
        let last = (86...100).map(String.init)
        #expect(error == .toolFailed("sh", status: 3, lastLines: last))
    }

    @Test("a tool that is not there is named")
    func missing() throws {
        #expect(throws: ImageError.toolMissing("no-such-tool")) {
            try Tool("no-such-tool", searchPath: Self.searchPath, environment: [:])
        }
    }
}
