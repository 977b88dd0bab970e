// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import JSON
internal import Kernel
internal import SystemPackage

/// What a command line says of a run or a task, as the API takes it.
package struct RunInput: Sendable {
    /// Files are read here; the daemon has its own, smaller cap on all input together.
    package static let fileLimit = 64 << 20

    package var arguments: [String]
    /// NAME=VALUE.
    package var environment: [String]
    /// SRC or SRC:DST.
    package var files: [String]
    /// Seconds.
    package var timeout: Double?
    /// A size like 256M.
    package var memory: String?

    package init(
        arguments: [String],
        environment: [String],
        files: [String],
        timeout: Double?,
        memory: String?
    ) {
        self.arguments = arguments
        self.environment = environment
        self.files = files
        self.timeout = timeout
        self.memory = memory
    }

    /// The members of the body that say it; the files are read.
    package func members() throws(ClientError) -> [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        if !arguments.isEmpty { members["argv"] = .array(arguments.map(JSONValue.string)) }
        if !environment.isEmpty { members["env"] = try variables() }
        if !files.isEmpty {
            var read: [JSONValue] = []
            for text in files { read.append(try Self.file(text)) }
            members["files"] = .array(read)
        }
        let limits = try limits()
        if !limits.isEmpty { members["limits"] = .object(limits) }
        return members
    }

    private func variables() throws(ClientError) -> JSONValue {
        var values: [String: JSONValue] = [:]
        for pair in environment {
            guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
                throw .usage("--env '\(pair)': give it as NAME=VALUE")
            }
            values[String(pair[..<equals])] = .string(String(pair[pair.index(after: equals)...]))
        }
        return .object(values)
    }

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

    private func limits() throws(ClientError) -> [String: JSONValue] {
        var limits: [String: JSONValue] = [:]
        if let seconds = timeout {
            guard seconds > 0, seconds < 1e9 else {
                throw .usage("--timeout \(seconds): give seconds, more than 0")
            }
            limits["wall_time_ms"] = .number(String(Int(max(1, seconds * 1000))))
        }
        if let text = memory {
            guard let bytes = ByteSize.parse(text), bytes > 0 else {
                throw .usage("--memory '\(text)': give a size like 268435456, 256M or 1G")
            }
            limits["memory_bytes"] = .number(String(bytes))
        }
        return limits
    }
}
