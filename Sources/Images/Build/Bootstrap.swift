// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// Makes a root file system out of Debian packages: the run of mmdebstrap(1).
///
/// It runs in namespaces of its own, as root as well as for a user with subordinate ids, so
/// that nothing of it stays behind: no mount, and no process.
struct Bootstrap {
    /// What is made.
    let recipe: Recipe

    /// A directory whose content is copied into the root before the recipe's commands run.
    let additions: FilePath?

    /// A Debian mirror's URL, or a file with sources of apt's; none for Debian's own servers.
    let mirror: String?

    /// mmdebstrap.
    let tool: Tool

    /// Packs the root into a new tar archive at `archive`, without `/dev`.
    ///
    /// `progress` gets each stage as mmdebstrap names it.
    func pack(
        into archive: FilePath,
        holding lock: borrowing Descriptor,
        progress: (String) -> Void
    ) throws(ImageError) {
        try tool.run(arguments(archive), holding: lock) { line in
            // "I: downloading packages with apt..."; what names a path is noise.
            guard line.hasPrefix("I: "), line.hasSuffix("..."), !line.contains("/") else { return }
            let stage = line.dropFirst(3).dropLast(3)
            if stage.prefix(while: { $0 != " " }).hasSuffix("ing") { progress(stage + "…") }
        }
    }

    private func arguments(_ archive: FilePath) -> [String] {
        var arguments = [
            "--variant=essential", "--mode=unshare", "--format=tar", "--skip=output/dev",
            "--include=" + recipe.packages.joined(separator: ","),
            // A stalled mirror ends a build rather than holding it for ever.
            "--aptopt=Acquire::Retries \"3\"",
            "--aptopt=Acquire::http::Timeout \"60\"",
            "--aptopt=Acquire::https::Timeout \"60\"",
        ]
        if !recipe.purge.isEmpty {
            let packages = recipe.purge.joined(separator: " ")
            arguments.append(hook("dpkg --purge --force-depends \(packages)", environment: []))
        }
        if let additions {
            arguments.append("--customize-hook=sync-in \(quoted(additions.string)) /")
        }
        let environment = recipe.environment.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }
        arguments += recipe.prepare.map { hook($0, environment: environment) }
        arguments += [recipe.suite, archive.string]
        if let mirror { arguments.append(mirror) }
        return arguments
    }

    /// The hook that runs `command` inside the root, the path of which is the hook's `$1`.
    private func hook(_ command: String, environment: [String]) -> String {
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        let words = ["env", "-i", path] + environment + ["/bin/sh", "-euc", command]
        return "--customize-hook=chroot \"$1\" " + words.map(quoted).joined(separator: " ")
    }

    /// `word` as a POSIX shell reads it back unchanged.
    private func quoted(_ word: String) -> String {
        "'"
            + word.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
}
