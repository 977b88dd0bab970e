// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension ProbeNeed {
    /// Whether this host has it.
    var isMet: Bool {
        switch self {
        case .kernel6x15: Self.kernel >= (6, 15)
        case .kernel6x11: Self.kernel >= (6, 11)
        case .cgroupV1: access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0
        case .kernel6x8: Self.kernel >= (6, 8)
        case .ia32Emulation: Self.runsForeignCalls
        case .landlockABI6: Self.landlockABI >= 6
        case .twoProcessors: sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 2
        case .defaultRoute: Self.hasDefaultRoute
        case .vsock: Self.makesVsock
        case .python: Self.imageHasPython
        case .codeProfile: Host.probeProfile == "code"
        case .browserImage: Browser.hasImage
        case .nativeEngine: Host.engineSocket == nil
        }
    }

    private static let kernel: (Int, Int) = {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: names.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let parts = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return parts.count == 2 ? (parts[0], parts[1]) : (0, 0)
    }()

    /// Asked of the kernel by a program that may make the call, which this one may not.
    private static let landlockABI: Int = {
        let program = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))"
        // Without Python nothing is known, and the row is skipped.
        let ending = try? Program.run(["python3", "-c", program])
        return ending.flatMap { Int($0.text.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
    }()

    private static let runsForeignCalls: Bool = {
        guard let probe = Host.probe, let ending = try? Program.run([probe, "abi-32"]) else {
            return false
        }
        return ProbeLine.lines(in: ending.stdout).contains { $0.result == .succeeded }
    }()

    private static let hasDefaultRoute: Bool = {
        let routes = (ProcessTable.read("/proc/net/route") ?? "").split(separator: "\n")
        return routes.contains { $0.split(separator: "\t").dropFirst().first == "00000000" }
    }()

    private static let makesVsock: Bool = {
        let made = socket(40 /* AF_VSOCK */, Int32(SOCK_STREAM.rawValue), 0)
        if made >= 0 { close(made) }
        return made >= 0
    }()

    private static let imageHasPython: Bool = {
        guard let socket = Host.socket else { return false }
        // A daemon that does not answer is told by every other test.
        let report = try? API(socket: socket).run(Run(["python3", "-V"]))
        return report?.verdict == "ok"
    }()
}
