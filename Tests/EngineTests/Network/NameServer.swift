// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Needs a resolver that can be told whom to ask, and root to tell it.
    static var nameServer: Self {
        .enabled(
            // glibc asks for no address of a kind that the host has none of.
            if: Host.isRoot && Host.address != nil && access("/etc/resolv.conf", F_OK) == 0,
            "only root can lay another /etc/resolv.conf over this host's, and the host has an address"
        )
    }
}

/// A name server of a test's own, which does what its names say, and counts the questions.
///
/// It listens on port 53 of an address of the loopback, which takes root.
final class NameServer {
    let address: String
    private let directory: String
    private var program: Program

    /// `names` have an address for each time that they are asked for, the last one from then on;
    /// several with commas between them come together, and another name is an alias. What is not
    /// among them is not answered. The resolver's settings may have a search list, which is then asked
    /// before a name as it is. It waits `patience` seconds for an answer, once.
    init(_ names: [String: [String]], search: String? = nil, patience: Int = 10) throws {
        let bytes = (0..<2).map { _ in UInt8.random(in: 1...250) }
        address = "127.99.\(bytes[0]).\(bytes[1])"
        directory = try Installation.shared.get().makeDirectory()
        let list = search.map { "search \($0)\noptions ndots:5\n" } ?? ""
        let settings = "nameserver \(address)\noptions timeout:\(patience) attempts:1\n" + list
        try settings.write(toFile: directory + "/resolv.conf", atomically: true, encoding: .utf8)
        let table = try JSONSerialization.data(withJSONObject: names)
        try table.write(to: URL(filePath: directory + "/names.json"))
        program = try Self.start(address, directory)
    }

    deinit { kill() }

    /// The words before a command whose resolver asks this one: in mounts of its own, its settings are
    /// these.
    var words: [String] {
        [
            "unshare", "--mount", "sh", "-c",
            "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"", directory + "/resolv.conf",
        ]
    }

    /// The questions for addresses of the fourth version so far.
    var asked: [String] {
        String(decoding: program.outputSoFar, as: UTF8.self).split(separator: "\n").dropFirst()
            .map(String.init)
    }

    func kill() {
        Glibc.kill(program.pid, SIGKILL)
        _ = program.ends(within: .seconds(10))
    }

    func restart() throws { program = try Self.start(address, directory) }

    private static func start(_ address: String, _ directory: String) throws -> Program {
        let script = """
            import json, socket, struct, sys
            names = json.load(open(sys.argv[2] + '/names.json'))
            def packed(name):
                return b''.join(bytes([len(part)]) + part.encode() for part in name.split('.')) + b'\\0'
            def record(value):
                if value[0].isdigit():
                    return struct.pack('>HHHIH', 0xc00c, 1, 1, 0, 4) + socket.inet_aton(value)
                target = packed(value)
                return struct.pack('>HHHIH', 0xc00c, 5, 1, 0, len(target)) + target
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((sys.argv[1], 53))
            print('up', flush=True)
            while True:
                query, client = server.recvfrom(512)
                name, place = [], 12
                while query[place]:
                    name.append(query[place + 1:place + 1 + query[place]].decode().lower())
                    place += 1 + query[place]
                name, (kind,) = '.'.join(name), struct.unpack('>H', query[place + 1:place + 3])
                if name not in names: continue
                answers, question = [], query[12:place + 5]
                if kind == 1:
                    print(name, flush=True)
                    values = names[name]
                    value = values.pop(0) if len(values) > 1 else values[0]
                    answers = [record(one) for one in value.split(',')]
                    # An alias is answered with what it stands for.
                    if not value[0].isdigit():
                        answers.append(packed(value) + struct.pack('>HHIH', 1, 1, 0, 4)
                            + socket.inet_aton(names[value][0]))
                head = query[:2] + struct.pack('>HHHHH', 0x8180, 1, len(answers), 0, 0)
                server.sendto(head + question + b''.join(answers), client)
            """
        let program = try Program(["/usr/bin/python3", "-c", script, address, directory])
        let isUp = Host.waits(upTo: .seconds(20)) {
            program.outputSoFar.contains(10) || program.ends(within: .zero)
        }
        try #require(isUp && !program.ends(within: .zero), "\(program.errorsSoFar)")
        return program
    }
}
