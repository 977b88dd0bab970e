// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Glibc
package import Kernel
internal import Policy
internal import SystemPackage

extension DockerEngine {
    package func end(_ cell: Cell) async -> [String] { await takeBack(cell.id) }

    /// With the container, whatever lives in it ends.
    package func abandon(_ cell: Cell, until death: Descriptor) async {
        // What cannot be removed is a stray.
        _ = await takeBack(cell.id)
    }

    /// Removes the container and verifies it, then what was the daemon's. A cell whose container
    /// stays keeps its ids: somebody may run under them.
    func takeBack(_ id: String) async -> [String] {
        guard let place = places[id] else { return [] }
        place.stem.close()
        place.connection = nil
        var problems: [String] = []
        if place.mayExist {
            do throws(DockerError) {
                try await remove(container: place.container ?? place.name)
            } catch {
                problems.append("the container \(place.name): \(error)")
            }
        }
        if let directory = place.directory { AttemptDirectory.remove(directory.path) }
        places[id] = nil
        if problems.isEmpty {
            ids.giveBack(place.slot)
        } else {
            withheld.withhold(place.slot, of: place.name)
        }
        return problems
    }

    /// Removes a container, whatever it is doing, and makes sure that it is gone.
    private func remove(container: String) async throws(DockerError) {
        for look in 0... {
            do throws(DockerError) {
                _ = try await client.remove(
                    container,
                    force: true,
                    volumes: true,
                    limits: limits
                )
            } catch {
                // Podman 4 refuses for as long as a container is just about to end by itself.
                guard error.status == 500 || error.status == 409, look < Self.removalLooks else {
                    throw error
                }
            }
            guard try await client.inspect(container, limits: limits) != nil else { return }
            guard look < Self.removalLooks else { break }
            await pause(Self.removalPause)
        }
        throw DockerError(.remove, .reported("it is there after its removal"))
    }

    private func pause(_ duration: Duration) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            _ = loop.schedule(at: .now.advanced(by: duration)) { continuation.resume() }
        }
    }

    package func strays() async throws(SpawnError) -> Set<Stray> {
        var strays: Set<Stray> = []
        let there = AttemptDirectory.inventory(of: configuration.directory)
        let used = Set(places.values.compactMap { $0.directory?.name })
        for name in there.subtracting(used) { strays.insert(Stray(.directory, name)) }
        let known = Set(places.values.map(\.name))
        let label = [ContainerPlace.Label.node: configuration.node]
        let kept = withheld.containers
        let containers: [ContainerSummary]
        do throws(DockerError) {
            containers = try await client.list(labels: label, limits: limits)
        } catch { throw .engine(step: "docker \(error.call.rawValue)", reason: "\(error)") }
        let present = Set(containers.flatMap(\.names))
        for slot in withheld.release(kept, butFor: present) { ids.giveBack(slot) }
        for container in containers where !container.names.contains(where: known.contains) {
            strays.insert(Stray(.container, container.names.first ?? container.id))
        }
        return strays
    }

    package func remove(_ stray: Stray) async throws(SpawnError) {
        switch stray.kind {
        case .directory: AttemptDirectory.remove(configuration.directory + "/" + stray.name)
        case .container:
            try await asking { () throws(DockerError) in try await remove(container: stray.name) }
            if let slot = withheld.release(stray.name) { ids.giveBack(slot) }
        }
    }
}
