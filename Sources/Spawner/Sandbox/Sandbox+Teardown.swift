// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import SystemPackage

extension Sandbox {
    /// Ends whatever lives, removes what was made, and writes the receipt of it.
    func tearDown() async {
        link.setDeadline(after: patience.teardown)
        if let cell, !link.hasExited, hasFailed, isReadBack || cell.container == nil {
            // What an engine put a container into is its own only when the read-back says so. Where
            // the kernel has no such call, or refuses it, init's death does the same.
            try? cell.cgroup.kill()
        }
        await waitForExit()
        // Afterwards it would be known no better: taking back a container ends its engine's answers.
        let wasGone = link.isGone
        link.close()
        // With its last copy gone, an init that was never taken over ends too.
        cell?.control = nil
        if let cell {
            if hasFailed { readCounters() }
            if isLost, let judged = Judgement.verdict(onLossWith: counters, request.policy.limits) {
                (result.verdict, result.evidence) = judged
            }
            // A container's cgroup goes with the container; elsewhere the ids are the last to go.
            if cell.container != nil { await takeBack(cell) }
            await remove(cell)
            if cell.container == nil { await letGo(of: cell) }
        } else {
            result.receipt.processesLeft = 0
            result.receipt.cgroupRemoved = true
        }
        // What an engine has removed has no process any more.
        result.receipt.initDead = wasGone || result.receipt.containerRemoved == true
        result.receipt.namespacesReleased =
            result.receipt.initDead && result.receipt.processesLeft == 0
        settleUsage()
    }

    /// Waits for init's death. A healthy one ends by itself after BYE; any other is killed.
    private func waitForExit() async {
        if hasFailed { link.kill() }
        var isLate = false
        while !link.isGone {
            switch await link.next() {
            case .launched, .notLaunched: link.kill()
            case .late where isLate: return
            case .late:
                isLate = true
                result.receipt.problems.append("init did not end in time")
                link.kill()
                link.setDeadline(after: patience.death)
            default: continue
            }
        }
    }

    /// Gives the cell back, or leaves it to its engine when somebody may still run under its ids.
    private func letGo(of cell: Cell) async {
        guard !link.isGone else {
            await takeBack(cell)
            return
        }
        result.receipt.problems.append("init lives, and keeps its ids until it is dead")
        guard link.isLaunchPending else {
            await abandon(cell)
            return
        }
        link.whenAnswered = { [self] in
            // Unstructured: the run is over, and what outlives it has no end that could be awaited.
            Task { await self.abandon(cell) }
        }
    }

    private func abandon(_ cell: Cell) async {
        if let process = link.process {
            await engine.abandon(cell, until: process)
        } else {
            // There will never be an init, so the engine has nothing to tell of it.
            _ = await engine.end(cell)
        }
    }

    private func takeBack(_ cell: Cell) async {
        let left = await engine.end(cell)
        result.receipt.problems += left
        if cell.container != nil { result.receipt.containerRemoved = left.isEmpty }
    }

    private func remove(_ cell: Cell) async {
        do throws(Errno) {
            result.receipt.processesLeft = try cell.cgroup.isEmpty() ? 0 : 1
            try cell.cgroup.remove()
            result.receipt.cgroupRemoved = true
        } catch .resourceBusy {
            await removeBusy(cell)
        } catch {
            result.receipt.problems.append("removing the cgroup: \(error)")
        }
    }

    /// A process that has just died may count for a moment longer, and no event tells when it no
    /// longer does (v1).
    private func removeBusy(_ cell: Cell) async {
        for _ in 0..<200 {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                _ = loop.schedule(at: .now.advanced(by: .milliseconds(5))) { continuation.resume() }
            }
            do throws(Errno) {
                result.receipt.processesLeft = try cell.cgroup.isEmpty() ? 0 : 1
                try cell.cgroup.remove()
                result.receipt.cgroupRemoved = true
                return
            } catch {
                // Said below when it stays so.
                continue
            }
        }
        result.receipt.problems.append("the cgroup stayed busy for a second")
    }

    // MARK: Counters

    func readCounters() {
        guard let cell else { return }
        do throws(Errno) { counters = try cell.cgroup.counters() } catch {
            result.receipt.problems.append("reading the counters: \(error)")
        }
    }

    private func settleUsage() {
        result.usage.cpuMilliseconds = Double(counters.cpuMicroseconds) / 1000
        result.usage.cpuUserMilliseconds = Double(counters.cpuUserMicroseconds) / 1000
        result.usage.cpuSystemMilliseconds =
            result.usage.cpuMilliseconds - result.usage.cpuUserMilliseconds
        result.usage.memoryPeakBytes = counters.memoryPeakBytes
        let own = UInt64(cell?.ownTasks ?? 0)
        result.usage.pidsPeak = counters.pidsPeak.map { $0 - min($0, own) }
        (result.output, result.errorOutput) = jobStreams.kept
        for kept in [result.output, result.errorOutput] {
            result.usage.outputKeptBytes += UInt64(kept.head.count + kept.tail.count)
            result.usage.outputDroppedBytes += kept.droppedBytes
        }
    }
}
