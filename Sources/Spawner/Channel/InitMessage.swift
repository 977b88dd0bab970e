// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Kernel
internal import SystemPackage

/// How the job ended, as init saw it.
struct Ending: Sendable, Hashable {
    /// As wait4 gives it.
    var waitStatus: Int32
    /// `enum sbx_reason`.
    var reasons: UInt32
    var workspaceBytes: UInt64
    var workspaceInodes: UInt64
    var workspaceBytesFree: UInt64
    var workspaceInodesFree: UInt64
    var wallNanoseconds: UInt64
}

/// What init says, decoded into our own words. Nothing in it is believed beyond its own attempt.
enum InitMessage: Sendable {
    /// The job's process is confined and waits; the kernel names it.
    case ready(jobPid: Int32)
    /// A socket that listens on the sandbox's own loopback.
    case listener(Descriptor)
    case failed(Step, Errno)
    case seen(SeenCall)
    case ended(Ending)
    case artifact(path: [UInt8], mode: UInt32, Descriptor)
    case refused(path: [UInt8], bytes: UInt64, RefusedArtifact.Reason)
    case bye

    /// Decodes a packet; nil when it is none of these or has the wrong size.
    init?(_ packet: Packet) {
        switch UInt32(packet.type) {
        case SBX_READY.rawValue:
            guard packet.senderPid > 0 else { return nil }
            self = .ready(jobPid: packet.senderPid)
        case SBX_LISTENER.rawValue:
            guard packet.exactly(sbx_signal.self) != nil, let socket = packet.descriptors.first
            else { return nil }
            self = .listener(socket)
        case SBX_FAILED.rawValue:
            guard let failed = packet.exactly(sbx_failed.self),
                let step = Step(rawValue: failed.step), let code = Errno(reported: failed.error)
            else { return nil }
            self = .failed(step, code)
        case SBX_DENIED.rawValue:
            guard let seen = packet.exactly(sbx_denied.self), let call = SeenCall(seen)
            else { return nil }
            self = .seen(call)
        case SBX_ENDED.rawValue:
            guard let ended = packet.exactly(sbx_ended.self) else { return nil }
            self = .ended(Ending(ended))
        case SBX_ARTIFACT.rawValue:
            guard let (artifact, path) = packet.leading(sbx_artifact.self),
                Self.isBelow(path), let file = packet.descriptors.first
            else { return nil }
            self = .artifact(path: path, mode: artifact.mode & 0o777, file)
        case SBX_REFUSED.rawValue:
            guard let (refused, path) = packet.leading(sbx_refused.self),
                Self.isBelow(path), let reason = RefusedArtifact.Reason(refused.reason)
            else { return nil }
            self = .refused(path: path, bytes: refused.bytes, reason)
        case SBX_BYE.rawValue:
            self = .bye
        default:
            return nil
        }
    }
}

extension InitMessage {
    /// Whether a path, joined to a directory, stays below it.
    private static func isBelow(_ path: [UInt8]) -> Bool {
        guard path.count <= Int(SBX_PATH_MAX), !path.contains(0) else { return false }
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.allSatisfy { part in
            !part.isEmpty && part.count <= 255 && !part.elementsEqual(".".utf8)
                && !part.elementsEqual("..".utf8)
        }
    }
}

extension Ending {
    fileprivate init(_ ended: sbx_ended) {
        self.init(
            waitStatus: ended.wait_status,
            reasons: ended.reasons,
            workspaceBytes: ended.workspace_bytes,
            workspaceInodes: ended.workspace_inodes,
            workspaceBytesFree: ended.workspace_bytes_free,
            workspaceInodesFree: ended.workspace_inodes_free,
            wallNanoseconds: ended.wall_ns
        )
    }

    /// The same with no more wall time than has passed here, whatever init says: its clock starts
    /// after ours and stops before.
    func within(wallNanoseconds passed: UInt64) -> Ending {
        var ending = self
        ending.wallNanoseconds = min(wallNanoseconds, passed)
        return ending
    }

    /// Whether init ended the job for this reason.
    func has(_ reason: sbx_reason) -> Bool {
        reasons & reason.rawValue != 0
    }
}

extension RefusedArtifact.Reason {
    fileprivate init?(_ raw: UInt32) {
        switch raw {
        case SBX_REFUSED_SYMLINK.rawValue: self = .symlink
        case SBX_REFUSED_NOT_REGULAR.rawValue: self = .notRegular
        case SBX_REFUSED_BYTES.rawValue: self = .bytes
        case SBX_REFUSED_COUNT.rawValue: self = .count
        case SBX_REFUSED_NAME.rawValue: self = .name
        case SBX_REFUSED_DEPTH.rawValue: self = .depth
        case SBX_REFUSED_UNREADABLE.rawValue: self = .unreadable
        default: return nil
        }
    }
}
