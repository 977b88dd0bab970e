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
        let shadow = try options.canary.shadowEngine.map { engine throws(ClientError) in
            try self.shadow(engine)
        }
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
        let answer: Answer
        do throws(ClientError) {
            let response = try DaemonAPI.accepted(try connection.response())
            answer = try options.json ? object(response) : events(response)
        } catch .ended {
            throw .runLost
        }
        // What was done before had its shadow then.
        if answer.isNew { shadow?.tell(Observation(result: answer.result, withArtifacts: true)) }
        return try finish(answer.result)
    }

    private struct Answer {
        let result: JSONValue
        /// Whether the run was done now, and not before under the same key.
        let isNew: Bool
    }

    /// Begins the same run by another engine.
    private func shadow(_ engine: String) throws(ClientError) -> Shadow {
        guard !options.stdin else {
            throw .usage("--shadow-engine with --stdin: an input that comes as it goes comes once")
        }
        guard options.key == nil || !options.json else {
            throw .usage(
                "--shadow-engine with --key and --json: one object does not say whether the run "
                    + "was done now or before; leave one of the three out"
            )
        }
        var other = options
        other.job.engine = engine
        other.key = nil
        return try Shadow(
            Shadow.Plan(
                body: try RunBody.make(other),
                profile: options.job.profile,
                taskID: options.canary.taskID,
                places: .init(
                    counted: "by " + (options.job.engine ?? "the usual engine"),
                    shadow: "by " + engine
                ),
                withArtifacts: true,
                daemon: daemon
            )
        )
    }

    private func object(_ response: Response) throws(ClientError) -> Answer {
        let body = try response.all()
        guard let result = JSONParser.parse(body) else { throw .notHTTP }
        Terminal.write(1, body)
        // Unknown with a key, which has no shadow here.
        return Answer(result: result, isNew: true)
    }

    /// Follows the events, one a line, until the result.
    private func events(_ response: Response) throws(ClientError) -> Answer {
        var printer = OutputPrinter()
        var hasStarted = false
        var lines = ResponseLines(response)
        while let line = try lines.next() {
            guard let event = JSONParser.parse(line) else { throw .notHTTP }
            hasStarted = hasStarted || event["event"]?.text == "started"
            if let result = event["result"] {
                // A run of this key was there before, and its output comes with its result.
                if !hasStarted { KeptOutput(result)?.print() }
                return Answer(result: result, isNew: hasStarted)
            }
            printer.print(event)
        }
        throw .ended
    }

    private func explain(_ result: JSONValue) {
        let lines = CallProse.lines(result)
        for line in lines { Terminal.say("sandboxd: refused: \(line)") }
        let more =
            lines.isEmpty
            ? "no system call was refused"
            : "which line would allow it: sandboxd explain \(result["attempt_id"]?.text ?? "")"
        Terminal.say("sandboxd: " + more)
    }

    private func finish(_ result: JSONValue) throws(ClientError) -> Int32 {
        if let directory = options.out {
            try ArtifactSaver(daemon, directory: directory).save(result)
        }
        let outcome = Outcome(result)
        if !options.quiet, !options.json, outcome.isWorthSaying || isatty(2) == 1 {
            Terminal.say(outcome.summary)
        }
        if options.explain, !options.json { explain(result) }
        return Terminal.hasLost ? 125 : outcome.exitStatus
    }
}
