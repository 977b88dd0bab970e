// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import DockerAPI
internal import Kernel
internal import SystemPackage

/// Which container engine a command works on.
struct EngineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The engine's socket, as unix:///PATH. Default: $DOCKER_HOST.",
            valueName: "address"
        )
    )
    var docker: String?

    /// The address, if there is one.
    func address() throws(DockerError) -> EngineAddress? {
        guard let docker else { return try .fromEnvironment() }
        return try EngineAddress(docker, from: "--docker")
    }

    /// A client of it; refuses when none is named.
    func client() throws(DockerError) -> DockerClient {
        guard let client = try clientIfNamed() else {
            throw DockerError(
                .address,
                .invalid("no engine is named: give --docker unix:///PATH, or set DOCKER_HOST")
            )
        }
        return client
    }

    /// A client of it, if one is named.
    func clientIfNamed() throws(DockerError) -> DockerClient? {
        guard let address = try address() else { return nil }
        do throws(Errno) {
            return DockerClient(address, on: try EventLoop())
        } catch {
            throw DockerError(.address, .lost("an event loop cannot be made: \(error)"))
        }
    }
}
