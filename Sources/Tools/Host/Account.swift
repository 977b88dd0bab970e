// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A user of this machine.
struct Account: Hashable {
    let name: String
    let uid: UInt32
    let gid: UInt32

    /// The user of this name; nil when there is none.
    static func named(_ name: String) -> Account? {
        getpwnam(name).map { Account($0.pointee) }
    }

    /// The user who runs this program.
    static var own: Account {
        guard let entry = getpwuid(geteuid()) else {
            return Account(name: String(geteuid()), uid: geteuid(), gid: getegid())
        }
        return Account(entry.pointee)
    }

    /// All ids that some user or group of this machine has.
    static func allIDs() -> Set<UInt32> {
        var ids: Set<UInt32> = []
        setpwent()
        while let entry = getpwent() { ids.insert(entry.pointee.pw_uid) }
        endpwent()
        setgrent()
        while let entry = getgrent() { ids.insert(entry.pointee.gr_gid) }
        endgrent()
        return ids
    }

    private init(_ entry: passwd) {
        self.init(name: String(cString: entry.pw_name), uid: entry.pw_uid, gid: entry.pw_gid)
    }

    private init(name: String, uid: UInt32, gid: UInt32) {
        self.name = name
        self.uid = uid
        self.gid = gid
    }
}
