// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A real container engine behind a socket of the test's, which hits chosen calls with a fault
/// (`faulty_engine.py`).
final class FaultyEngine {
    /// What is done to a call.
    enum Fault: Sendable, Equatable {
        /// The connection is closed before the engine hears of the call.
        case drop
        /// The engine does it, and nobody tells.
        case dropAnswer
        /// The engine never hears of it, and the connection stays open.
        case hang
        /// The engine does it, and the answer never comes.
        case hangAnswer
        /// An answer of another server.
        case answer(status: Int, body: String)
        /// Bytes that are no HTTP.
        case garbage
        /// The engine is asked for something else.
        case edit(from: String, to: String)
        /// The engine is asked twice, and its second answer comes.
        case twice
        /// The engine is killed before it hears of the call.
        case kill(pid_t)
        /// The engine is killed when it has done it, before it has told.
        case killAfter(pid_t)

        fileprivate var members: [String: JSON] {
            switch self {
            case .drop: ["fault": "drop"]
            case .dropAnswer: ["fault": "drop_answer"]
            case .hang: ["fault": "hang"]
            case .hangAnswer: ["fault": "hang_answer"]
            case .garbage: ["fault": "garbage"]
            case .edit(let from, let to):
                ["fault": "edit", "from": .string(from), "to": .string(to)]
            case .twice: ["fault": "twice"]
            case .kill(let process): ["fault": "kill", "pid": .number(Double(process))]
            case .killAfter(let process):
                ["fault": "kill_after", "pid": .number(Double(process))]
            case .answer(let status, let body):
                [
                    "fault": "answer", "status": .number(Double(status)), "body": .string(body),
                ]
            }
        }
    }

    /// Which call: a method, and a regular expression that is found in the path.
    struct Call: Sendable, Hashable {
        let method: String
        let path: String
    }

    let socket: String
    private let control: String
    private let program: Program

    /// Listens in `directory`, which is the daemon's user's, before the engine at `behind`.
    init(in directory: String, before behind: String) throws {
        socket = directory + "/engine"
        control = directory + "/control"
        let script = try Installation.shared.get().makeDirectory() + "/faulty_engine.py"
        try Data(Host.file("EngineTests/Containers/faulty_engine.py").utf8)
            .write(to: URL(filePath: script))
        chmod(script, 0o644)
        program = try Program(
            Program.asUser + ["/usr/bin/python3", script, socket, behind, control]
        )
        let (socket, program) = (socket, program)
        let listens = Host.waits(upTo: .seconds(20)) {
            access(socket, F_OK) == 0 || program.ends(within: .zero)
        }
        try #require(listens && access(socket, F_OK) == 0, "\(program.errorsSoFar)")
    }

    /// From now on, this happens to such calls.
    func hit(_ call: Call, with fault: Fault) throws {
        unlink(control + ".hits")
        let wanted = fault.members.merging(
            ["method": .string(call.method), "path": .string(call.path)]
        ) { $1 }
        try Data(JSON.object(wanted).bytes).write(to: URL(filePath: control), options: .atomic)
        chmod(control, 0o644)
    }

    /// From now on nothing happens to any.
    func heal() {
        unlink(control)
    }

    /// How many calls were hit since `hit`.
    var hits: Int {
        (ProcessTable.read(control + ".hits") ?? "").split(separator: "\n").count
    }
}
