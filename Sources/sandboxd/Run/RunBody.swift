// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// The request's body, from the command line's options.
enum RunBody {
    /// With `fixed` as its standard input, or what comes later, when the options want it.
    static func make(
        _ options: RunCommand,
        input fixed: [UInt8]? = nil
    ) throws(ClientError) -> JSONValue {
        var body = try options.job.members(options.command)
        body["artifacts"] = .bool(options.out != nil || options.json)
        if let fixed {
            body["stdin_base64"] = .string(Base64.encode(fixed))
        } else if options.stdin {
            body["stdin_stream"] = .bool(true)
        }
        if options.explain { body["explain"] = .string("denied") }
        if let budget = options.budget { body["budget"] = .string(budget) }
        if let key = options.key { body["key"] = .string(key) }
        return .object(body)
    }
}
