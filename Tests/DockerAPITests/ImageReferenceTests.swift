// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

@Suite("Names of images") struct ImageReferenceTests {
    private static let digest = "sha256:" + String(repeating: "0123456789abcdef", count: 4)

    @Test(
        "a reference is read into its parts, and written as it was",
        arguments: [
            ("debian", "debian", nil, nil, "docker.io"),
            ("debian:12", "debian", "12", nil, "docker.io"),
            ("library/debian:12", "library/debian", "12", nil, "docker.io"),
            ("a.b", "a.b", nil, nil, "docker.io"),
            ("a__b--c.d_e", "a__b--c.d_e", nil, nil, "docker.io"),
            ("localhost/x:_T.a-g", "localhost/x", "_T.a-g", nil, "localhost"),
            ("host:5000/x", "host:5000/x", nil, nil, "host:5000"),
            ("host.example/a/b:c", "host.example/a/b", "c", nil, "host.example"),
            ("HOST/x", "HOST/x", nil, nil, "HOST"),
            ("x@\(digest)", "x", nil, digest, "docker.io"),
            ("h.e:1/x:t@\(digest)", "h.e:1/x", "t", digest, "h.e:1"),
            (digest, "", nil, digest, "docker.io"),
        ] as [(String, String, String?, String?, String)]
    )
    func read(text: String, name: String, tag: String?, digest: String?, registry: String) throws {
        let reference = try ImageReference(text)
        #expect(reference.name == name && reference.tag == tag && reference.digest == digest)
        #expect(reference.registry == registry)
        #expect(reference.description == text)
    }

    @Test(
        "what is no reference is refused by name",
        arguments: [
            "", ":", "@", "/", "a//b", "/a", "a/", "A", "a/B", "a b", "a\n", "ä", "a:", "a:b:c",
            "a:-b",
            "a:.b", "a:\(String(repeating: "x", count: 129))", "a@sha256:0", "a@sha512:00", "a@b@c",
            "sha256:0", "../a", "a/../b", "a/./b", "a..b", "a___b", "a._b", "-a", "a-", "_a", "a_",
            "http://a/b", "h.e:/x", "h.e:123456/x", "h.e:x/y", ".e/x", "h..e/x", "-h.e/x", "h-.e/x",
            "[::1]:5000/x", "u@h.e/x", "a?b", "a#b", "a%2fb", String(repeating: "a", count: 256),
            String(repeating: "0a", count: 32),
        ]
    )
    func refused(text: String) async throws {
        let error = await Clients.failure { () async throws(DockerError) in
            try ImageReference(text)
        }
        #expect(error?.call == .reference)
        #expect(error?.description.contains("is no image: a ") == true)
    }
}
