// SPDX-License-Identifier: Apache-2.0
internal import JSON
internal import Kernel

/// One HTTP request to the engine.
struct EngineRequest {
    enum Method: String {
        case get = "GET"
        case post = "POST"
        case delete = "DELETE"
    }

    enum Body {
        case none
        case json(JSONValue)
        /// A tar archive, from the descriptor's present position to its end.
        case archive(Descriptor)
    }

    let call: DockerError.Call
    let method: Method
    /// Percent-encoded, with its query, without the API's version.
    let path: String
    var body = Body.none
    var registryAuth: RegistryAuth?
    /// Statuses beside 200 to 299 that are an answer and no refusal.
    var accepted: Set<Int> = []
    /// Takes each line of an answer of status 200; what it throws ends the transfer.
    var takeLine: ((ArraySlice<UInt8>) throws(DockerError.Reason) -> Void)?
    /// Takes each piece of a good answer's body, which is then not kept and has no other limit than
    /// what this throws.
    var takePiece: ((UnsafeRawBufferPointer) throws(DockerError.Reason) -> Void)?
    var limits: CallLimits

    init(
        _ call: DockerError.Call,
        _ method: Method,
        _ path: String,
        limits: CallLimits
    ) {
        self.call = call
        self.method = method
        self.path = path
        self.limits = limits
    }

    /// The same, accepting another status.
    func accepting(_ status: Int) -> EngineRequest {
        var request = self
        request.accepted.insert(status)
        return request
    }
}
