// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON
internal import Kernel
internal import SystemPackage

/// `sandboxd doctor --leaks`: the difference between what is there and what should be, as the daemon
/// sees it.
struct LeaksReport {
    var socket: String
    var json: Bool

    /// Prints it; throws the status 1 when there is any, and 125 when nobody can tell.
    func run() throws {
        let body: [UInt8]
        do throws(ClientError) { body = try ask() } catch {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
        let leaks = JSONParser.parse(body)?["leaks"]?.elements ?? []
        if json {
            Terminal.write(1, body)
        } else if leaks.isEmpty {
            print("nothing was left behind")
        } else {
            for leak in leaks {
                print("\(leak["kind"]?.text ?? "?")  \(leak["name"]?.text ?? "?")")
            }
        }
        if !leaks.isEmpty { throw ExitCode(1) }
    }

    private func ask() throws(ClientError) -> [UInt8] {
        let connection: Connection
        do throws(Errno) {
            connection = try Connection(path: socket)
            try connection.begin("GET", "/v1/leaks", headers: [:])
            try connection.finish()
        } catch {
            throw .notRunning(socket: socket, error)
        }
        let response = try connection.response()
        let body = try response.all()
        guard response.status == 200 else {
            throw .refused(
                JSONParser.parse(body)?["error"]?["message"]?.text
                    ?? "the daemon answered with status \(response.status)"
            )
        }
        return body
    }
}
