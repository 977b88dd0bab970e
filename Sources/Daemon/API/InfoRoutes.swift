// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import Kernel
internal import NIOCore
internal import Policy
internal import Reaper
internal import Spawner
internal import SystemPackage
internal import Tasks

/// The routes that only tell.
struct InfoRoutes: Sendable {
    private static let pieceBytes = 256 << 10

    let runs: RunService
    let database: Database?
    let reaper: Reaper

    /// `GET /healthz`: the daemon answers.
    func health(_ request: Request, _ context: CallContext) async throws -> Response {
        try JSONAnswer.response(["ok": true])
    }

    /// `GET /v1/profiles`.
    func profiles(_ request: Request, _ context: CallContext) async throws -> Response {
        let policies = runs.catalogue.names.compactMap { runs.catalogue.entry(named: $0)?.policy }
        // Where a profile has no other engine, it is as ready as that.
        let docker = runs.engines.docker
        let engineReason =
            await docker?.status().reason ?? (docker == nil ? Engines.noSocket : nil)
        let profiles = policies.map { policy -> JSONObject in
            let reason =
                runs.catalogue.refusal(of: policy)
                ?? (policy.engines.contains(.native) ? nil : engineReason)
            return [
                "name": policy.name, "description": policy.summary, "image": policy.image,
                "engines": policy.engines.map(\.rawValue), "health": policy.health,
                "limits": LimitNames.values(policy.limits), "ready": reason == nil,
                "reason": reason,
            ]
        }
        return try JSONAnswer.response(["profiles": profiles] as JSONObject)
    }

    /// `GET /v1/status`.
    func status(_ request: Request, _ context: CallContext) async throws -> Response {
        let status = await runs.status
        let admission = status.admission
        let native: JSONObject = [
            "ready": admission.isOpen, "missing_layers": status.missingLayers.map(\.rawValue),
        ]
        let memory: JSONObject = [
            "capacity_bytes": admission.capacityBytes, "reserved_bytes": admission.reservedBytes,
        ]
        let docker = await dockerStatus()
        let queue = queueStatus
        let tripped = await database?.tally.tripped.map { trip -> JSONObject in
            ["profile": trip.profile, "why": trip.why]
        }
        let space = runs.disk.look()
        let disk: JSONObject = [
            "ready": space.isOpen, "used_percent": space.usedPercent,
            "limit_percent": space.limitPercent,
        ]
        return try JSONAnswer.response(
            [
                "native": native, "docker": docker, "memory": memory, "runs": admission.runs,
                "finished": status.finished, "queue": queue,
                "disk": disk, "canaries_tripped": tripped,
            ] as JSONObject
        )
    }

    /// What the container engine is, and whether it works; null without one.
    private func dockerStatus() async -> JSONObject? {
        guard let status = await runs.engines.docker?.status() else { return nil }
        return [
            "ready": status.reason == nil, "engine": status.engine, "caps": status.caps,
            "reason": status.reason, "warning": status.warning,
        ]
    }

    /// Whether tasks can come in, and whether budgets can pay; null without a database.
    private var queueStatus: JSONObject? {
        switch database?.readiness.worker {
        case nil: nil
        case .registered(let worker): ["ready": true, "worker": worker, "reason": nil as String?]
        case .waiting(let why): ["ready": false, "worker": nil as Int?, "reason": why]
        case .stopped: ["ready": false, "worker": nil as Int?, "reason": "the daemon is stopping"]
        }
    }

    /// `GET /v1/leaks`: what is there and belongs to nothing, or the other way round.
    func leaks(_ request: Request, _ context: CallContext) async throws -> Response {
        let leaks = await reaper.leaks().map { leak -> JSONObject in
            ["kind": leak.kind.rawValue, "name": leak.name]
        }
        return try JSONAnswer.response(["leaks": leaks] as JSONObject)
    }

    /// `GET /v1/artifacts/{sha256}`: the content of a kept artifact.
    func artifact(_ request: Request, _ context: CallContext) async throws -> Response {
        let digest = context.parameters.get("sha256") ?? ""
        let file: Descriptor
        do throws(Errno) { file = try runs.store.open(sha256: digest) } catch {
            throw APIError.noArtifact(digest)
        }
        let body = ResponseBody { writer in
            while true {
                let piece = try file.readAll(limit: Self.pieceBytes)
                if piece.isEmpty { break }
                try await writer.write(ByteBuffer(bytes: piece))
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            headers: [.contentType: "application/octet-stream"],
            body: body
        )
    }
}

/// Limits under the names that requests use.
enum LimitNames {
    static func values(_ limits: Limits) -> [String: UInt64] {
        [
            "memory_bytes": limits.memoryBytes, "swap_bytes": limits.swapBytes,
            "pids": UInt64(limits.pids), "cpu_millicores": UInt64(limits.cpuMillicores),
            "cpu_time_ms": UInt64(limits.cpuTime.milliseconds),
            "wall_time_ms": UInt64(limits.wallTime.milliseconds),
            "workspace_bytes": limits.workspaceBytes,
            "workspace_inodes": limits.workspaceInodes,
            "shared_memory_bytes": limits.sharedMemoryBytes,
            "output_bytes": limits.outputBytes, "output_total_bytes": limits.outputTotalBytes,
            "artifact_bytes": limits.artifactBytes,
            "artifact_count": UInt64(limits.artifactCount),
            "open_files": UInt64(limits.openFiles), "input_bytes": limits.inputBytes,
        ]
    }
}
