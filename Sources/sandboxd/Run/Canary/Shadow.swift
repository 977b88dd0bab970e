// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// A process that does a run once more, compares the two, and tells the daemon.
///
/// It has a session of its own and none of the caller's descriptors, so that nobody waits for it
/// and nothing stays locked for its sake. The run that counts is told to it through a pipe; when
/// that ends without a word, there is nothing to compare. It begins only then: at the same time,
/// the two would take processors from each other, and the shadow would be felt.
struct Shadow {
    /// The first process of a session would get a terminal by opening one; it opens none.
    private static let factsLimit = 1 << 20

    /// What it does.
    struct Plan {
        /// The request's body.
        let body: JSONValue
        let profile: String
        let taskID: String?
        let places: Comparison.Places
        let withArtifacts: Bool
        let daemon: DaemonAPI
    }

    private let facts: Descriptor

    /// Starts it. To be called while this process has one thread.
    init(_ plan: Plan) throws(ClientError) {
        do throws(Errno) {
            let (reading, writing) = try Descriptor.pipe()
            // The daemon may take long, and the words may not fit into the pipe.
            try writing.setNonblocking()
            if try kernel({ clx_fork() }) == 0 {
                // Their numbers are closed there, and may become others': nobody closes them again.
                _ = (Unmanaged.passRetained(reading), Unmanaged.passRetained(writing))
                Self.perform(plan, Self.detach(keeping: reading))
                _exit(0)
            }
            facts = writing
        } catch {
            throw .shadow(error)
        }
    }

    /// Says how the run that counts ended. Never waits.
    func tell(_ seen: Observation) {
        // Too much for the pipe, or the shadow is gone: then it is not compared.
        _ = try? facts.write((seen.json.bytes)[...])
    }

    // MARK: In the process of its own

    /// Answers what is left of all that was open.
    private static func detach(keeping reading: Descriptor) -> Descriptor {
        setsid()
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
        dup2(reading.number, 3)
        _ = clx_close_from(4)
        let null = clx_open("/dev/null", O_RDWR)
        for stream in Int32(0)...2 where null >= 0 { dup2(null, stream) }
        return Descriptor(owning: 3)
    }

    private static func perform(_ plan: Plan, _ reading: Descriptor) {
        guard let words = try? reading.readAll(limit: factsLimit),
            let counted = JSONParser.parse(words).flatMap({ Observation($0) })
        else { return }
        let misses = MissedShadows()
        let result: JSONValue
        do throws(ClientError) {
            result = try plan.daemon.value("POST", "/v1/runs", body: plan.body)
        } catch {
            misses.note(profile: plan.profile)
            return
        }
        let comparison = Comparison(
            counted,
            Observation(result: result, withArtifacts: plan.withArtifacts),
            plan.places
        )
        var members = comparison.members
        members["profile"] = .string(plan.profile)
        members["shadow_attempt"] = result["attempt_id"] ?? .null
        if let taskID = plan.taskID { members["task_key"] = .string(taskID) }
        let waiting = misses.take()
        if !waiting.counts.isEmpty {
            members["missed"] = .object(waiting.counts.mapValues { .number(String($0)) })
        }
        do throws(ClientError) {
            _ = try plan.daemon.value("POST", "/v1/comparisons", body: .object(members))
            waiting.forget()
        } catch {
            waiting.putBack()
            misses.note(profile: plan.profile)
        }
    }
}
