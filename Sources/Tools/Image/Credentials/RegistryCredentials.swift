// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import DockerAPI
internal import JSON
internal import SystemPackage

/// Credentials for registries, each for one host and for no other.
struct RegistryCredentials {
    /// The registry that is meant by a name without a host, and what Docker calls it in its file.
    private static let aliases = [ImageReference.standardRegistry: "https://index.docker.io/v1/"]

    private let path: String
    /// Without those that could not be understood, unless they are asked for.
    private var entries: [String: Result<RegistryCredential, CredentialError>] = [:]

    /// Reads `{"auths": {"HOST": {"auth": BASE64}}}`, as in Docker's config.json, or lines of
    /// `HOST USER PASSWORD`.
    init(_ file: CredentialFile) throws(CredentialError) {
        path = file.path
        let bytes = try file.read()
        let isJSON = bytes.first { ![9, 10, 13, 32].contains($0) } == UInt8(ascii: "{")
        if isJSON { try readJSON(bytes) } else { try readLines(bytes) }
    }

    /// What is for exactly this registry.
    func credential(for registry: String) throws(CredentialError) -> RegistryCredential {
        let names = [registry, Self.aliases[registry]].compactMap { $0 }
        guard let entry = names.compactMap({ entries[$0] }).first else {
            throw .none(path: path, registry: registry)
        }
        return try entry.get()
    }

    private mutating func readJSON(_ bytes: [UInt8]) throws(CredentialError) {
        guard let value = JSONParser.parse(bytes), case .object(let auths)? = value["auths"] else {
            throw .malformed(path: path, problem: "they are no JSON object with 'auths'")
        }
        for (host, entry) in auths {
            guard let text = entry["auth"]?.text, let decoded = Base64.decode(text),
                let colon = decoded.firstIndex(of: UInt8(ascii: ":")),
                let user = String(validating: decoded[..<colon], as: UTF8.self),
                let password = String(validating: decoded[(colon + 1)...], as: UTF8.self)
            else {
                let problem =
                    "the entry of one registry has no 'auth' that is base64 of USER:PASSWORD; "
                    + "credential helpers are not asked"
                entries[host] = .failure(.malformed(path: path, problem: problem))
                continue
            }
            entries[host] = .success(
                RegistryCredential(host: host, user: user, password: password, written: text)
            )
        }
    }

    private mutating func readLines(_ bytes: [UInt8]) throws(CredentialError) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let isBlank = { (byte: UInt8) in byte == 32 || byte == 9 }
            // The password is the rest, for it may have blanks in it.
            let words = line.split(maxSplits: 2, whereSeparator: isBlank)
                .map { $0.drop(while: isBlank).filter { $0 != 13 } }
                .compactMap { String(validating: $0, as: UTF8.self) }
            guard let host = words.first, !host.isEmpty, !host.hasPrefix("#") else { continue }
            guard words.count == 3, !words[2].isEmpty, entries[host] == nil else {
                throw .malformed(
                    path: path,
                    problem: "line \(index + 1) is not 'HOST USER PASSWORD', or its host's second"
                )
            }
            entries[host] = .success(
                RegistryCredential(host: host, user: words[1], password: words[2], written: nil)
            )
        }
    }
}
