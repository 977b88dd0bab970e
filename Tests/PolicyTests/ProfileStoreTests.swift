// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct ProfileStoreTests {
    @Test("the shipped profiles load")
    func shipped() throws {
        let store = try ProfileStore(directory: Fixture.directory)
        #expect(store.names == Fixture.profiles)
        for name in store.names {
            let policy = try store.policy(named: name)
            #expect(policy.name == name)
            #expect(policy.image == (name == "browser" ? "browser" : "code"))
            #expect(policy.engines.first == .native)
            #expect(policy.network.open == nil)
            #expect((policy.network == .none) == (name != "browser"))
            #expect(policy.capabilities.isEmpty)
            #expect(policy.workingDirectory == "/workspace")
            let file = "\(Fixture.directory)/\(name).yaml"
            #expect(try ProfileStore.policy(inFile: file) == policy)
        }
    }

    @Test("an unknown profile is answered with the names of those that exist")
    func unknown() throws {
        let store = try ProfileStore(directory: Fixture.directory)
        #expect(
            refusal { try store.policy(named: "cod") }
                == "there is no profile \"cod\"; there is: browser, code, shell"
        )
    }

    @Test("a store without profiles says so")
    func empty() throws {
        try Fixture.withDirectory([:]) { directory in
            let store = try ProfileStore(directory: directory)
            #expect(
                refusal { try store.policy(named: "code") }
                    == "there is no profile \"code\": none is installed"
            )
        }
    }

    @Test("one profile that does not load is an error for the whole directory")
    func oneBad() throws {
        let bad = Fixture.yaml("pids: 128", "pids: 0")
        try Fixture.withDirectory(["sample.yaml": bad]) { directory in
            #expect(
                refusal { try ProfileStore(directory: directory) }
                    == "\(directory)/sample.yaml:8: limits.pids: \"0\" is zero; write 2 to 32768"
            )
        }
    }

    @Test("a profile is called what its file is called")
    func misnamed() throws {
        try Fixture.withDirectory(["other.yaml": Fixture.yaml]) { directory in
            #expect(
                refusal { try ProfileStore(directory: directory) }
                    == "\(directory)/other.yaml:1: name: \"sample\" is not what the file is called;"
                    + " rename the file to sample.yaml, or the profile"
            )
        }
    }

    @Test("a directory that is not there is named, with the kernel's reason")
    func noDirectory() {
        #expect(
            refusal { try ProfileStore(directory: "/no/such/place") }
                == "/no/such/place/syscalls/never.yaml: cannot be read: No such file or directory"
        )
    }

    @Test("a file that is no text is refused")
    func noText() throws {
        let giant = String(repeating: "#", count: 1 << 21)
        try Fixture.withDirectory(["a.yaml": giant]) { directory in
            #expect(
                refusal { try ProfileStore(directory: directory) }
                    == "\(directory)/a.yaml: cannot be read: it is larger than 1 MiB"
            )
        }
        #expect(
            refusal { try Profile(file: "/bin/true") }
                == "/bin/true: cannot be read: it is not UTF-8"
        )
    }
}
