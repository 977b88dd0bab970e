// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// One `sandboxd run`, from the request to the exit status.
struct RunSession {
    private let options: RunCommand
    private let socket: String

    init(_ options: RunCommand) {
        self.options = options
        socket = options.socket ?? SocketPath.standard
    }

    /// Runs, and answers the exit status.
    func run() throws(ClientError) -> Int32 {
        let body = try RunBody.make(options).bytes + [10]
        let connection = try connect()
        do throws(Errno) {
            try connection.begin(
                "POST",
                "/v1/runs",
                headers: [
                    "Accept": options.json ? "application/json" : "application/x-ndjson",
                    "Content-Type":
                        options.stdin ? "application/x-ndjson" : "application/json",
                ]
            )
            try connection.send(body)
            if options.stdin {
                try InputPump.start(connection)
            } else {
                try connection.finish()
            }
        } catch {
            // The daemon may have refused before it read everything: its answer says why.
        }
        let response = try connection.response()
        guard response.status == 200 else { throw .refused(try Self.reason(response)) }
        return options.json ? try object(response) : try events(response)
    }

    private func connect() throws(ClientError) -> Connection {
        do throws(Errno) { return try Connection(path: socket) } catch {
            throw .notRunning(socket: socket, error)
        }
    }

    /// The daemon's refusal in its own words.
    private static func reason(_ response: Response) throws(ClientError) -> String {
        let body = try response.all()
        return JSONParser.parse(body)?["error"]?["message"]?.text
            ?? "the daemon answered with status \(response.status)"
    }

    private func object(_ response: Response) throws(ClientError) -> Int32 {
        let body = try response.all()
        guard let result = JSONParser.parse(body) else { throw .notHTTP }
        Terminal.write(1, body)
        return try finish(result)
    }

    /// Follows the events, one a line, until the result.
    private func events(_ response: Response) throws(ClientError) -> Int32 {
        var printer = OutputPrinter()
        var line: [UInt8] = []
        while true {
            let piece = try response.next()
            guard !piece.isEmpty else { throw .ended }
            var rest = piece[...]
            while let end = rest.firstIndex(of: 10) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                guard let event = JSONParser.parse(line) else { throw .notHTTP }
                line = []
                if let result = event["result"] { return try finish(result) }
                printer.print(event)
            }
            line += rest
        }
    }

    private func finish(_ result: JSONValue) throws(ClientError) -> Int32 {
        if let directory = options.out {
            try ArtifactSaver(socket: socket, directory: directory).save(result)
        }
        let outcome = Outcome(result)
        if !options.quiet, !options.json, outcome.isWorthSaying || isatty(2) == 1 {
            Terminal.say(outcome.summary)
        }
        return outcome.exitStatus
    }
}
