// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import DockerAPI
internal import JSON

/// Who we are to one registry. Whatever prints or inspects it says "hidden".
struct RegistryCredential {
    /// So many of the first bytes of a secret are hidden even without the rest.
    private static let tellingBytes = 8

    /// What goes into the header of the pull, and nowhere else.
    private let header: String
    /// Every form in which somebody could quote it.
    private let secrets: [[UInt8]]

    /// `written` is how the file has it, if that is another form.
    init(host: String, user: String, password: String, written: String?) {
        let members: [String: JSONValue] = [
            "username": .string(user), "password": .string(password),
            "serveraddress": .string(host),
        ]
        // The alphabet for addresses (RFC 4648, section 5), which engines read.
        header = Base64.encode(JSONValue.object(members).bytes)
            .replacing("+", with: "-").replacing("/", with: "_")
        let basic = Base64.encode(Array("\(user):\(password)".utf8))
        let quoted = JSONValue.string(password).bytes.dropFirst().dropLast()
        let forms = [header, basic, password, written].compactMap { $0.map { Array($0.utf8) } }
        secrets = (forms + [Array(quoted)]).filter { !$0.isEmpty }
    }

    /// As the engine takes it.
    func auth() throws(DockerError) -> RegistryAuth {
        try RegistryAuth(base64: header)
    }

    /// The same text without the secrets, and without a beginning of one, should a quotation have
    /// been cut.
    func redacting(_ text: String) -> String {
        var rest = Array(text.utf8)[...]
        var clean: [UInt8] = []
        while let next = rest.first {
            let found = secrets.map { secret in
                let same = zip(rest, secret).prefix { $0 == $1 }.count
                return same >= min(Self.tellingBytes, secret.count) ? same : 0
            }
            guard let longest = found.max(), longest > 0 else {
                clean.append(next)
                rest = rest.dropFirst()
                continue
            }
            clean += Array("(hidden)".utf8)
            rest = rest.dropFirst(longest)
        }
        return String(decoding: clean, as: UTF8.self)
    }
}

extension RegistryCredential: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    var description: String { "hidden" }
    var debugDescription: String { "hidden" }
    var customMirror: Mirror { Mirror(self, children: [:]) }
}
