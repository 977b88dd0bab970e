// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

@Suite("Where an engine is") struct AddressTests {
    @Test(
        "a Unix socket by its absolute path is taken as it is written",
        arguments: [
            "/run/user/1000/docker.sock", "/a b/ü/%20/../x?y#z",
            "/" + String(repeating: "x", count: 106),
        ]
    )
    func taken(path: String) throws {
        let address = try EngineAddress("unix://" + path)
        #expect(address.socketPath == path)
        #expect("\(address)" == "unix://" + path)
    }

    @Test(
        "anything else is refused, with its source, its text and what to write",
        arguments: [
            ("", "write unix:///PATH"), ("tcp://127.0.0.1:2375", "write unix:///PATH"),
            ("ssh://me@host", "write unix:///PATH"), ("fd://", "write unix:///PATH"),
            ("npipe:////./pipe/x", "write unix:///PATH"),
            ("/run/docker.sock", "write unix:///PATH"),
            ("http+unix:///x", "write unix:///PATH"), ("UNIX:///x", "write unix:///PATH"),
            ("unix:/run/x", "write unix:///PATH"), ("unix://", "begin at the root"),
            ("unix://run/x", "begin at the root"), ("unix:///a\nb", "control character"),
            ("unix:///a\0b", "control character"),
            (
                "unix:///" + String(repeating: "x", count: 107),
                "108 bytes long, and the kernel takes 107"
            ),
        ]
    )
    func refused(text: String, why: String) async throws {
        let error = await Clients.failure { () async throws(DockerError) in
            try EngineAddress(text, from: "docker.address")
        }
        let said = try #require(error).description
        #expect(said.hasPrefix("docker address: docker.address is '"))
        #expect(said.contains(why), "\(said)")
        #expect(said.utf8.allSatisfy { $0.isPrintable })
    }
}
