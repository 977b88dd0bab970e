// SPDX-License-Identifier: Apache-2.0
package import JSON
internal import Kernel
internal import SystemPackage

/// The daemon's API, by its socket: an exchange is a connection of its own.
package struct DaemonAPI: Sendable {
    package let socket: String

    /// nil is the usual place.
    package init(socket: String?) {
        self.socket = socket ?? SocketPath.standard
    }

    /// Connects, for whoever sends the request himself.
    package func connect() throws(ClientError) -> Connection {
        do throws(Errno) { return try Connection(path: socket) } catch {
            throw .notRunning(socket: socket, error)
        }
    }

    /// Sends a request and answers its answer, which is no refusal.
    package func answer(
        _ method: String,
        _ path: String,
        body: JSONValue? = nil
    ) throws(ClientError) -> Response {
        let connection = try connect()
        do throws(Errno) {
            // A run's answer is one object, too, and not its events.
            var headers = ["Accept": "application/json"]
            if body != nil { headers["Content-Type"] = "application/json" }
            try connection.begin(method, path, headers: headers)
            if let body { try connection.send(body.bytes + [10]) }
            try connection.finish()
        } catch {
            // The daemon may have refused before it read everything: its answer says why.
        }
        return try Self.accepted(try connection.response())
    }

    /// The same, for an answer that is one JSON value.
    package func value(
        _ method: String,
        _ path: String,
        body: JSONValue? = nil
    ) throws(ClientError) -> JSONValue {
        let bytes = try answer(method, path, body: body).all()
        guard let value = JSONParser.parse(bytes) else { throw .notHTTP }
        return value
    }

    /// Lets an answer through that is no refusal; a refusal is thrown in the daemon's own words.
    package static func accepted(_ response: Response) throws(ClientError) -> Response {
        guard !(200..<300).contains(response.status) else { return response }
        let body = try response.all()
        throw .refused(
            JSONParser.parse(body)?["error"]?["message"]?.text
                ?? "the daemon answered with status \(response.status)"
        )
    }

    /// One part of a path, or a value of a query, with whatever else means something there encoded.
    package static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                out.append(byte)
            default:
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
