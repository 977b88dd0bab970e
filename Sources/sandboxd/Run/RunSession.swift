// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// One `sandboxd run`, from the request to the exit status.
struct RunSession {
    private let options: RunCommand
    private let daemon: DaemonAPI

    init(_ options: RunCommand) {
        self.options = options
        daemon = DaemonAPI(socket: options.socket)
    }

    /// Runs, and answers the exit status.
    func run() throws(ClientError) -> Int32 {
        let body = try RunBody.make(options).bytes + [10]
        let connection = try daemon.connect()
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
        let result: JSONValue
        do throws(ClientError) {
            let response = try DaemonAPI.accepted(try connection.response())
            result = try options.json ? object(response) : events(response)
        } catch .ended {
            throw .runLost
        }
        return try finish(result)
    }

    private func object(_ response: Response) throws(ClientError) -> JSONValue {
        let body = try response.all()
        guard let result = JSONParser.parse(body) else { throw .notHTTP }
        Terminal.write(1, body)
        return result
    }

    /// Follows the events, one a line, until the result.
    private func events(_ response: Response) throws(ClientError) -> JSONValue {
        var printer = OutputPrinter()
        var hasStarted = false
        var lines = ResponseLines(response)
        while let line = try lines.next() {
            guard let event = JSONParser.parse(line) else { throw .notHTTP }
            hasStarted = hasStarted || event["event"]?.text == "started"
            if let result = event["result"] {
                // A run of this key was there before, and its output comes with its result.
                if !hasStarted { KeptOutput(result)?.print() }
                return result
            }
            printer.print(event)
        }
        throw .ended
    }

    private func finish(_ result: JSONValue) throws(ClientError) -> Int32 {
        if let directory = options.out {
            try ArtifactSaver(daemon, directory: directory).save(result)
        }
        let outcome = Outcome(result)
        if !options.quiet, !options.json, outcome.isWorthSaying || isatty(2) == 1 {
            Terminal.say(outcome.summary)
        }
        return outcome.exitStatus
    }
}
