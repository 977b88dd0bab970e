// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

extension ImageStore {
    /// The store of the whole machine.
    private static let ofMachine: FilePath = "/var/lib/sandboxd/images"

    /// Where images are when nobody says otherwise.
    ///
    /// The machine's own store, if this is root or if it is there and readable; else the user's,
    /// in `$XDG_DATA_HOME`. Building and using agree on it, so what was built is found.
    package static func defaultPath(environment: [String: String]) -> FilePath {
        let isUsable = ofMachine.withPlatformString { access($0, R_OK | X_OK) } == 0
        if geteuid() == 0 || isUsable { return ofMachine }
        if let data = environment["XDG_DATA_HOME"], data.hasPrefix("/") {
            return FilePath(data).appending("sandboxd/images")
        }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return ofMachine }
        return FilePath(home).appending(".local/share/sandboxd/images")
    }
}
