// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Policy

/// The names that are written down on a host, with their addresses (hosts(5)).
enum HostsFile {
    /// The addresses of `name`, which is in lower case, in the file at `path`.
    ///
    /// It is read as glibc reads it: anew for each name, and what is no such line is passed over, as
    /// is a file that cannot be read.
    static func addresses(of name: String, in path: String) -> [IPAddress] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        defer { free(line) }
        var capacity = 0
        var addresses: [IPAddress] = []
        while addresses.count < 16, getline(&line, &capacity, file) > 0, let line {
            if let address = address(of: name, on: String(cString: line)) {
                addresses.append(address)
            }
        }
        return addresses
    }

    /// An address, the names that have it, and perhaps a comment.
    private static func address(of name: String, on line: String) -> IPAddress? {
        let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
        guard let text = words.first, words.dropFirst().contains(where: { $0.lowercased() == name })
        else { return nil }
        return IPAddress(v4: text) ?? IPAddress(v6: text)
    }
}
