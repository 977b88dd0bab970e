// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct ConnectionTargetTests {
    @Test(
        "a target shows where it goes, and no password",
        arguments: [
            "postgres://ann:hunter2@db1:5432,db2:5433/jobs?target_session_attrs=read-write",
            "host=db1,db2 port=5432,5433 user=ann password=hunter2 dbname=jobs sslpassword=hunter2",
        ]
    )
    func description(string: String) throws {
        let target = try ConnectionTarget(string)
        var dumped = ""
        dump(target, to: &dumped)
        for text in ["\(target)", String(reflecting: target), dumped, "\([target])"] {
            #expect(text.contains("host=db1,db2 port=5432,5433 user=ann dbname=jobs"))
            #expect(!text.contains("hunter2"))
        }
        #expect(target.hostCount == 2)
    }

    @Test(
        "nonsense is refused without an echo",
        arguments: [
            "postgres://ann:hunter2@db/jobs?hunter2=1", "host=db password=my hunter2",
            "host=db password='hunter2", "postgres://ann:hunter2%zz@db/",
            "postgres://ann:x@hunter2@db/", "postgres://ann:x/hunter2@db/",
            "postgres://ann:x?hunter2@db/", "postgres://ann:x@[hunter2\"/", "hunter2",
        ]
    )
    func nonsense(string: String) {
        #expect {
            _ = try ConnectionTarget(string)
        } throws: { error in
            let text = "\(error)"
            return !text.contains("hunter2") && text.contains("connection string cannot be read: ")
        }
    }

    @Test("each attempt may begin with another host")
    func hosts() throws {
        let target = try ConnectionTarget("host=a,b,c port=1,2,3 user=ann")
        let parameters = try target.parameters(beginningWithHost: 4, applicationName: "x")
        #expect(parameters["host"] == "b,c,a")
        #expect(parameters["port"] == "2,3,1")
        let samePort = try ConnectionTarget("host=a,b port=1")
        #expect(try samePort.parameters(beginningWithHost: 1, applicationName: "x")["port"] == "1")
    }

    @Test("what libpq says is repeated without the password")
    func redaction() throws {
        let target = try ConnectionTarget("host=a password=hunter2")
        let parameters = try target.parameters(beginningWithHost: 0, applicationName: "x")
        #expect(target.redacting("bad hunter2!", parameters) == "bad …!")
    }

    @Test("a password file that is not there is named")
    func passwordFile() throws {
        let target = try ConnectionTarget("host=a", passwordFile: "/no/such/file")
        #expect(
            throws: PostgresError.unreachable(
                "the password file /no/such/file cannot be read: No such file or directory"
            )
        ) { try target.parameters(beginningWithHost: 0, applicationName: "x") }
    }
}
