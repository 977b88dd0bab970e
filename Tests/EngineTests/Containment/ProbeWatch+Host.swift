// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Oracles that look at the host.
extension ProbeWatch {
    func unchanged<Value: Equatable>(
        _ what: String,
        _ look: @escaping () throws -> Value
    ) throws -> Check {
        let before = try look()
        return { _ in
            let after = try look()
            guard after != before else { return [] }
            if let before = before as? Set<String>, let after = after as? Set<String> {
                return ["\(what) changed: \(before.symmetricDifference(after).sorted().prefix(8))"]
            }
            return ["\(what) changed"]
        }
    }

    func canaries() throws -> Check {
        let paths = [
            scene.canaryDirectory + "/" + scene.canaryFile, daemon.state + "/" + scene.canaryFile,
        ]
        let watch = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard watch >= 0 else { throw SocketError("watching the canaries") }
        let events = UInt32(IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB)
        for path in paths { inotify_add_watch(watch, path, events) }
        let token = scene.token
        return { _ in
            defer { close(watch) }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let touched = read(watch, &bytes, bytes.count) > 0
            let same = paths.allSatisfy { ProcessTable.read($0) == token }
            return (touched ? ["a canary file was opened"] : [])
                + (same ? [] : ["a canary changed"])
        }
    }

    func programs() throws -> Check {
        // Its children are its launcher and its janitor; sandboxes, which come and go, are deeper.
        let children = ProcessTable().entries.values.filter { $0.parent == daemon.pid }.map(\.pid)
        let paths = ([daemon.pid] + children.sorted()).map { "/proc/\($0)/exe" }
        let installed = try Installation.shared.get().program("sandboxd-init")
        return try unchanged("a program") { try HostView.digests(paths + [installed]) }
    }

    func clock() -> Check {
        let before = HostView.clockOffset()
        return { _ in
            let moved = HostView.clockOffset() - before
            return abs(moved) < 1_000_000 ? [] : ["the clock moved by \(moved) ns"]
        }
    }

    func disk() throws -> Check {
        let state = daemon.state
        let files = try HostView.files(below: state)
        let free = HostView.freeSharedMemory()
        return { _ in
            let new = try HostView.files(below: state).subtracting(files)
            let less = free - HostView.freeSharedMemory()
            return (new.isEmpty ? [] : ["files are left: \(new.sorted().prefix(8))"])
                + (less < 1 << 20 ? [] : ["/dev/shm has \(less) bytes less"])
        }
    }

    func noProcess(_ outcome: ProbeOutcome) -> [String] {
        if let mark = outcome.mark {
            let left = Sandboxes.processes(marked: mark)
            return left.isEmpty ? [] : ["processes are left: \(left)"]
        }
        let left = HostView.jobs(of: daemon.pid).subtracting(allowedJobs)
        return left.isEmpty ? [] : ["processes are left: \(left.map { "\($0.pid) \($0.name)" })"]
    }

    func noIPC() -> Check {
        let before = HostView.interprocess()
        return { _ in
            let new = HostView.interprocess().subtracting(before)
            return new.isEmpty ? [] : ["left: \(new.sorted())"]
        }
    }

    func noCgroup(_ outcome: ProbeOutcome) -> [String] {
        let rests = Host.waits(upTo: .seconds(1)) { daemon.isAtRest }
        return rests ? [] : ["cgroups are in use: \(daemon.cells)"]
    }

    /// Sandboxes that wait come and go, so it is the number of namespaces that must not grow.
    func noNamespace() -> Check {
        let daemon = daemon.pid
        let before = HostView.namespaces(of: daemon).count
        return { _ in
            let back = Host.waits(upTo: .seconds(1)) {
                HostView.namespaces(of: daemon).count <= before
            }
            return back
                ? [] : ["\(HostView.namespaces(of: daemon).count) namespaces, not \(before)"]
        }
    }

    func listeners() -> Check {
        _ = scene.listeners.touched()
        return { [scene] _ in scene.listeners.touched().map { "\($0) was reached" } }
    }

    func sentinels() throws -> Check {
        let words = ["env", "--block-signal", "--", "sleep", "1000"]
        let sentinels = [try Program(words), try Program(Program.asUser + words)]
        // Until it has blocked them all, a signal would not be seen.
        let ready = Host.waits(upTo: .seconds(5)) {
            sentinels.allSatisfy { ProcessTable.entry($0.pid)?.name == "sleep" }
        }
        try #require(ready)
        return { _ in
            sentinels.flatMap { sentinel -> [String] in
                let pending = ["SigPnd", "ShdPnd"].compactMap {
                    ProcessTable.field($0, of: sentinel.pid)
                }
                guard !sentinel.ends(within: .zero) else { return ["a sentinel was killed"] }
                let none = pending.allSatisfy { $0.allSatisfy { $0 == "0" } }
                return none ? [] : ["a sentinel was sent a signal: \(pending)"]
            }
        }
    }
}
