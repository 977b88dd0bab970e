// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("The program inside sandboxes")
struct InitObjectTests {
    private static let sources = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Sources/sandboxd-init").standardized.path

    /// Runs a program to its end and answers what it printed; throws when it failed.
    private static func output(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
        return String(decoding: output, as: UTF8.self)
    }

    /// What the objects of `files` leave to others to define, and what they define, by compiling
    /// them as build.sh does.
    private static func undefined(_ files: [String]) throws -> Set<String> {
        let place = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        // What is left in the temporary directory harms no other test.
        defer { try? FileManager.default.removeItem(at: place) }
        var objects: [String] = []
        for file in files {
            let object = place.appending(path: file.split(separator: "/").joined() + ".o").path
            _ = try output(
                "cc",
                [
                    "-std=gnu11", "-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-c",
                    "-I", sources + "/../CChannel/include", "-o", object, file,
                ]
            )
            objects.append(object)
        }
        func names(_ options: [String]) throws -> Set<String> {
            let lines = try output("nm", ["-P", "--no-sort"] + options + objects)
            return Set(
                lines.split(separator: "\n").filter { $0.contains(" ") && !$0.hasSuffix(":") }
                    .compactMap { $0.split(separator: " ").first.map(String.init) }
            )
        }
        return try names(["-u"]).subtracting(names(["--defined-only", "-g"]))
    }

    @Test("it calls the kernel and nothing else: of a libc only the copying that compilers insert")
    func noLibc() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.sources)
            .filter { $0.hasSuffix(".c") }.map { Self.sources + "/" + $0 }
        #expect(files.count > 5)
        let allowed: Set = ["memcpy", "memset", "memmove", "memcmp"]
        #expect(try Self.undefined(files).subtracting(allowed).isEmpty)
    }

    @Test("the check sees a call of libc's")
    func detector() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).c")
        try Data("#include <stdlib.h>\nint f(void) { return setenv(\"a\", \"b\", 1); }\n".utf8)
            .write(to: file)
        // What is left in the temporary directory harms no other test.
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try Self.undefined([file.path]) == ["setenv"])
    }
}
