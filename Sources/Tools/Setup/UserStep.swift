// SPDX-License-Identifier: Apache-2.0

/// The user that the daemon runs as, who can do nothing else.
struct UserStep: SetupStep {
    func apply(_ setup: Setup) throws(SetupError) {
        if let account = setup.account {
            setup.found("user \(setup.user) (uid \(account.uid), gid \(account.gid))")
            return
        }
        try setup.change("make the system user \(setup.user), who cannot log in") {
            () throws(SetupError) in
            let arguments = [
                "--system", "--user-group", "--no-create-home",
                "--home-dir", DirectoriesStep.home, "--shell", "/usr/sbin/nologin",
                "--comment", "sandboxd", setup.user,
            ]
            try setup.run("useradd", arguments, package: "passwd")
            guard setup.account != nil else { throw .noUser(setup.user) }
        }
    }
}
