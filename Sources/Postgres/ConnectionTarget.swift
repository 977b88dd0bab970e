// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Where PostgreSQL is and as whom to come: a connection string, checked, whose password shows
/// nowhere.
///
/// What the string leaves out, libpq takes from where it always does: PGHOST, PGPASSWORD,
/// ~/.pgpass and the like (PostgreSQL 15 manual, 34.1.1 and 34.15).
package struct ConnectionTarget: Sendable, Hashable {
    private let options: [String: String]
    private let passwordFile: String?

    /// Reads a connection string: a URI, or `keyword=value` words.
    ///
    /// `passwordFile` holds nothing but the password, and is read at each connection, so that the
    /// password may change. It comes before a password in the string.
    package init(_ string: String, passwordFile: String? = nil) throws(PostgresError) {
        try Self.refuseMisplacedPassword(string)
        options = try Self.parse(string)
        self.passwordFile = passwordFile
    }

    /// A server behind a Unix socket, for which the kernel vouches who comes.
    package init(socketDirectory: String, user: String, database: String) {
        options = ["host": socketDirectory, "port": "5432", "user": user, "dbname": database]
        passwordFile = nil
    }

    /// Whether the string itself holds the password.
    package var hasPassword: Bool { options["password"] != nil }

    /// How many hosts the string names; 1 when it names none.
    package var hostCount: Int {
        max(list("host").count, list("hostaddr").count, 1)
    }

    /// What to give libpq.
    ///
    /// libpq tries the hosts in their order, but a deadline is over for all of them: with the first
    /// one silent, the others would never be tried. So each attempt may begin with another.
    func parameters(
        beginningWithHost first: Int,
        applicationName: String
    ) throws(PostgresError) -> [String: String] {
        var all = Self.defaults
        all.merge(options) { _, given in given }
        for key in ["host", "hostaddr", "port"] {
            let items = list(key)
            guard items.count > 1 else { continue }
            let turn = first % items.count
            all[key] = (items[turn...] + items[..<turn]).joined(separator: ",")
        }
        all["client_encoding"] = "UTF8"
        all["fallback_application_name"] = applicationName
        if let password = try readPassword() { all["password"] = password }
        return all
    }

    /// The text without anything secret that it may repeat.
    func redacting(_ text: String, _ parameters: [String: String]) -> String {
        var text = text
        for key in ["password", "sslpassword"] {
            guard let secret = parameters[key], secret.utf8.count > 2 else { continue }
            text = text.split(separator: secret, omittingEmptySubsequences: false)
                .joined(separator: "…")
        }
        return text
    }

    // MARK: Reading

    /// Kept short, so that the loss of a server that says nothing is noticed within half a minute;
    /// and no Kerberos encryption, whose negotiation would block the loop.
    private static let defaults = [
        "gssencmode": "disable",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
    ]

    private static let passwordLimit = 4096

    private func list(_ key: String) -> [String] {
        (options[key] ?? "").split(separator: ",", omittingEmptySubsequences: false)
            .map(String.init)
    }

    private func readPassword() throws(PostgresError) -> String? {
        guard let passwordFile else { return nil }
        do throws(Errno) {
            let file = try Descriptor.open(passwordFile, O_RDONLY)
            let bytes = try file.readAll(limit: Self.passwordLimit)
            return String(decoding: bytes.prefix { $0 != 0x0a && $0 != 0x0d }, as: UTF8.self)
        } catch {
            throw .unreachable("the password file \(passwordFile) cannot be read: \(error)")
        }
    }

    private static func parse(_ string: String) throws(PostgresError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let parsed = PQconninfoParse(string, &message) else {
            defer { PQfreemem(message) }
            let reason = message.map { String(cString: $0) } ?? "out of memory"
            throw .malformed("the connection string cannot be read: \(withoutQuotes(reason))")
        }
        defer { PQconninfoFree(parsed) }
        var options: [String: String] = [:]
        var next = parsed
        while let keyword = next.pointee.keyword {
            if let value = next.pointee.val {
                options[String(cString: keyword)] = String(cString: value)
            }
            next += 1
        }
        return options
    }

    /// libpq quotes what it cannot read, which may be any part of a password; only what it might
    /// have made up itself stays.
    private static func withoutQuotes(_ message: String) -> String {
        let pieces = message.split(separator: "\"", omittingEmptySubsequences: false)
        guard pieces.count > 1 else { return message }
        let isHarmless =
            pieces.count == 3 && (pieces[1] == "=" || knownKeywords.contains(pieces[1]))
        return isHarmless ? message : pieces[0] + "\"…\""
    }

    private static let knownKeywords: Set<Substring> = [
        "host", "hostaddr", "port", "user", "password", "dbname", "sslmode", "passfile", "options",
        "target_session_attrs", "application_name", "connect_timeout", "sslrootcert",
    ]

    /// A password with `@`, `/` or `?` in it that is not percent-encoded makes libpq take its rest
    /// for a host or a database, and repeat it in errors.
    private static func refuseMisplacedPassword(_ string: String) throws(PostgresError) {
        guard let scheme = string.firstRange(of: "://") else { return }
        let rest = string[scheme.upperBound...]
        guard rest.contains("@") else { return }
        let parts = rest.split(separator: "@", omittingEmptySubsequences: false)
        if parts.count > 2 || parts[0].contains(where: { $0 == "/" || $0 == "?" }) {
            throw .malformed(
                "the connection string cannot be read: write '@', '/' and '?' in a user's name, "
                    + "a password or an option as %40, %2F and %3F"
            )
        }
    }
}

extension ConnectionTarget: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The host, the port, the user and the database, as far as they are given.
    package var description: String {
        let shown = ["host", "hostaddr", "port", "user", "dbname", "target_session_attrs"]
            .compactMap { key in options[key].map { "\(key)=\($0)" } }
        return shown.isEmpty ? "libpq's defaults" : shown.joined(separator: " ")
    }

    package var debugDescription: String { description }

    /// `dump` and test reports would show what is stored.
    package var customMirror: Mirror { Mirror(self, children: ["target": description]) }
}
