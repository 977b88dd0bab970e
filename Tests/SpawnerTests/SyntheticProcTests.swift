// SPDX-License-Identifier: Apache-2.0
import CChannel
import Testing

@testable import Spawner

@Suite("Synthetic files of /proc")
struct SyntheticProcTests {
    @Test("there is one for every number of CPUs, and each fits into a message", arguments: [1, 3])
    func sizes(kilobytes: Int) {
        let stanza = "processor\t: 0\nflags\t\t: " + String(repeating: "f", count: kilobytes << 10)
        let files = SyntheticProc.files([String](repeating: stanza, count: 40))
        let infos = files.filter { $0.name.hasPrefix("cpuinfo.") }
        #expect(files.allSatisfy { $0.content.count + 128 < Int(SBX_MESSAGE_MAX) })
        #expect(infos.first?.name == "cpuinfo.1")
        // As many as fit, up to 32, and none is left out in between.
        #expect(infos.map(\.name) == (1...infos.count).map { "cpuinfo.\($0)" })
        #expect(infos.count == min(32, (Int(SBX_MESSAGE_MAX) - 256) / (stanza.utf8.count + 2)))
    }

    @Test("a sandbox that sees more CPUs than there are files for gets the largest")
    func largest() {
        let names = Set(SyntheticProc.files().map(\.name))
        for cpus in [0, 1, 2, 31, 1000] {
            #expect(SyntheticProc.covered(cpus: cpus).allSatisfy { names.contains($0.name) })
        }
    }
}
