// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// One request for each of several tasks.
enum TaskRequests {
    /// Sends all; a refusal is said, and the others are sent all the same.
    static func send(
        _ ids: [Int],
        _ request: (Int) throws(ClientError) -> JSONValue
    ) throws(ClientError) -> [JSONValue] {
        var answers: [JSONValue] = []
        for id in ids {
            do throws(ClientError) { answers.append(try request(id)) } catch .refused(let why) {
                Terminal.say("sandboxd: \(why)")
            }
        }
        return answers
    }

    /// Prints the tasks' states, and answers the exit status.
    static func print(_ answers: [JSONValue], json: Bool, failed: Bool) -> Int32 {
        if json {
            Terminal.print(.array(answers))
        } else {
            for answer in answers {
                let id = answer["task_id"]?.int ?? 0
                Terminal.print("task \(id): \(answer["state"]?.text ?? "?")")
            }
        }
        return failed ? 125 : 0
    }
}
