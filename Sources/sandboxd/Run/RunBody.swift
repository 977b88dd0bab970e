// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// The request's body, from the command line's options.
enum RunBody {
    /// Files are read here; the daemon has its own, smaller cap on all input together.
    private static let fileLimit = 64 << 20

    static func make(_ options: RunCommand) throws(ClientError) -> JSONValue {
        var body: [String: JSONValue] = [
            "profile": .string(options.profile),
            "argv": .array(options.command.map(JSONValue.string)),
            "artifacts": .bool(options.out != nil || options.json),
        ]
        if options.stdin { body["stdin_stream"] = .bool(true) }
        if !options.environment.isEmpty { body["env"] = try environment(options.environment) }
        if !options.files.isEmpty {
            var files: [JSONValue] = []
            for text in options.files { files.append(try file(text)) }
            body["files"] = .array(files)
        }
        let limits = try limits(options)
        if !limits.isEmpty { body["limits"] = .object(limits) }
        return .object(body)
    }

    private static func environment(_ pairs: [String]) throws(ClientError) -> JSONValue {
        var values: [String: JSONValue] = [:]
        for pair in pairs {
            guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
                throw .usage("--env '\(pair)': give it as NAME=VALUE")
            }
            values[String(pair[..<equals])] = .string(String(pair[pair.index(after: equals)...]))
        }
        return .object(values)
    }

    /// SRC or SRC:DST.
    private static func file(_ text: String) throws(ClientError) -> JSONValue {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let source = String(parts[0])
        let name = source.split(separator: "/").last.map(String.init) ?? source
        let target = parts.count == 2 ? String(parts[1]) : name
        do throws(Errno) {
            let opened = try Descriptor.open(source, O_RDONLY)
            var status = stat()
            _ = try kernel { fstat(opened.number, &status) }
            if status.st_mode & S_IFMT == S_IFDIR { throw Errno.isDirectory }
            let content = try opened.readAll(limit: fileLimit + 1)
            guard content.count <= fileLimit else { throw Errno.fileTooLarge }
            return .object([
                "path": .string(target), "base64": .string(Base64.encode(content)),
                "mode": .number(String(status.st_mode & 0o777)),
            ])
        } catch {
            throw .file(source, error)
        }
    }

    private static func limits(_ options: RunCommand) throws(ClientError) -> [String: JSONValue] {
        var limits: [String: JSONValue] = [:]
        if let seconds = options.timeout {
            guard seconds > 0, seconds < 1e9 else {
                throw .usage("--timeout \(seconds): give seconds, more than 0")
            }
            limits["wall_time_ms"] = .number(String(Int(max(1, seconds * 1000))))
        }
        if let text = options.memory {
            guard let bytes = bytes(text) else {
                throw .usage("--memory '\(text)': give a size like 268435456, 256M or 1G")
            }
            limits["memory_bytes"] = .number(String(bytes))
        }
        return limits
    }

    /// A size with a binary suffix; nil when it is none.
    static func bytes(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let shifts = ["": 0, "k": 10, "m": 20, "g": 30, "t": 40]
        var unit = text.dropFirst(digits.count).lowercased()
        for end in ["ib", "b"] where unit.hasSuffix(end) && unit.count > end.count {
            unit = String(unit.dropLast(end.count))
        }
        guard let count = UInt64(digits), let shift = shifts[unit] else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << UInt64(shift))
        return overflow || bytes == 0 ? nil : bytes
    }
}
