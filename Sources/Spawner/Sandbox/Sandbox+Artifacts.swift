// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import SystemPackage

extension Sandbox {
    /// Until BYE: files of `/workspace/out`, within the policy's count whatever init sends.
    func collect() async {
        let limit = Int(request.policy.limits.artifactCount)
        // The end of the channel is a signal too, behind everything that came before it.
        while true {
            switch await link.next() {
            case .message(.artifact(let path, let mode, let file)):
                guard found.count < limit else { return }
                found.append((path, mode, file))
            case .message(.refused(let path, let bytes, let reason)):
                guard result.refusedArtifacts.count < 64 else { return }
                result.refusedArtifacts.append(
                    RefusedArtifact(path: path, bytes: bytes, reason: reason)
                )
            case .message(.bye): return
            case let signal:
                // What came is kept; that it is not all is said.
                result.evidence.append(Evidence("artifacts_missing", "\(signal)"))
                return
            }
        }
    }

    /// Copies what init handed out, within the policy's bytes.
    func keepArtifacts() async {
        var bytesLeft = request.policy.limits.artifactBytes
        for (path, mode, file) in found {
            do throws(Errno) {
                guard let kept = try await store.keep(file, limit: bytesLeft) else {
                    refuse(path, .bytes)
                    continue
                }
                bytesLeft -= kept.bytes
                result.artifacts.append(
                    Artifact(path: path, bytes: kept.bytes, mode: mode, sha256: kept.sha256)
                )
            } catch {
                refuse(path, .store)
            }
        }
        found = []
    }

    private func refuse(_ path: [UInt8], _ reason: RefusedArtifact.Reason) {
        result.refusedArtifacts.append(RefusedArtifact(path: path, bytes: 0, reason: reason))
    }
}
