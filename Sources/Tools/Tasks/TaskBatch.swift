// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// Tasks of a file, submitted in requests that the daemon takes.
struct TaskBatch {
    private static let fileLimit = 256 << 20
    /// How many tasks, and about how many bytes, a request has at most.
    private static let requestCount = 1000
    private static let requestBytes = 32 << 20

    private let tasks: [JSONValue]

    /// Reads a JSON list of tasks, or a task a line, from a file; "-" is standard input. A task
    /// gets those of `defaults` that it does not have.
    init(file: String, defaults: [String: JSONValue]) throws(ClientError) {
        let bytes = try Self.read(file)
        let first = bytes.first { ![9, 10, 13, 32].contains($0) }
        if first == UInt8(ascii: "[") {
            guard let list = JSONParser.parse(bytes) else {
                throw .usage("\(file): not a JSON list")
            }
            tasks = try list.elements.enumerated().map { index, task throws(ClientError) in
                try Self.task(task, "\(file): task \(index + 1)", defaults)
            }
        } else {
            var tasks: [JSONValue] = []
            for (index, line) in bytes.split(separator: 10, omittingEmptySubsequences: false)
                .enumerated()
            where !line.allSatisfy({ [9, 13, 32].contains($0) }) {
                let value = JSONParser.parse(Array(line))
                tasks.append(try Self.task(value, "\(file): line \(index + 1)", defaults))
            }
            self.tasks = tasks
        }
        guard !tasks.isEmpty else { throw .usage("\(file): there is no task in it") }
    }

    private static func task(
        _ value: JSONValue?,
        _ place: String,
        _ defaults: [String: JSONValue]
    ) throws(ClientError) -> JSONValue {
        guard case .object(let members) = value else {
            throw .usage("\(place) is no JSON object")
        }
        return .object(defaults.merging(members) { $1 })
    }

    private static func read(_ file: String) throws(ClientError) -> [UInt8] {
        do throws(Errno) {
            let opened =
                file == "-" ? Descriptor(owning: 0) : try Descriptor.open(file, O_RDONLY)
            let content = try opened.readAll(limit: fileLimit + 1)
            guard content.count <= fileLimit else { throw Errno.fileTooLarge }
            return content
        } catch {
            throw .file(file == "-" ? "standard input" : file, error)
        }
    }

    /// Submits all, request by request. Prints a number a line as they are taken; or, as JSON, one
    /// object like the answer to one request, at the end.
    func submit(to daemon: DaemonAPI, json: Bool) throws(ClientError) {
        var start = 0
        var made: [JSONValue] = []
        while start < tasks.count {
            let part = request(from: start)
            let answer: JSONValue
            do throws(ClientError) {
                answer = try daemon.value(
                    "POST",
                    "/v1/tasks",
                    body: .object(["tasks": .array(Array(part))])
                )
            } catch .refused(let why) where part.count < tasks.count {
                throw .refused(
                    "\(why) (in tasks \(part.startIndex + 1) to \(part.endIndex) of the batch; "
                        + "the \(start) before them are in the queue)"
                )
            }
            let taken = answer["tasks"]?.elements ?? []
            if json {
                made += taken
            } else {
                for task in taken { Terminal.print("\(task["task_id"]?.int ?? 0)") }
            }
            start = part.endIndex
        }
        if json { Terminal.print(.object(["tasks": .array(made)])) }
    }

    /// As many of the tasks from `start` on as one request holds; one at least.
    private func request(from start: Int) -> ArraySlice<JSONValue> {
        let most = min(start + Self.requestCount, tasks.count)
        var end = start + 1
        var bytes = tasks[start].bytes.count
        while end < most {
            bytes += tasks[end].bytes.count
            if bytes > Self.requestBytes { break }
            end += 1
        }
        return tasks[start..<end]
    }
}
