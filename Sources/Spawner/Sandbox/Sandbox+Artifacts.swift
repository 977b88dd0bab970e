// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import SystemPackage

extension Sandbox {
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
