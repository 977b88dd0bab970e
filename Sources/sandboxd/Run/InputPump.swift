// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// Sends this process's standard input to the run while the answer is being read.
enum InputPump {
    private static let pieceBytes = 64 << 10

    /// Starts a thread that lives as long as the process; the process's end is its end.
    static func start(_ connection: Connection) throws(Errno) {
        let context = Unmanaged.passRetained(connection).toOpaque()
        let started = clx_thread(
            { context in
                guard let context else { return }
                InputPump.run(Unmanaged<Connection>.fromOpaque(context).takeRetainedValue())
            },
            context
        )
        guard started < 0 else { return }
        Terminal.lose(0, Errno(rawValue: errno))
        Unmanaged<Connection>.fromOpaque(context).release()
        try connection.finish()
    }

    private static func run(_ connection: Connection) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        defer { buffer.deallocate() }
        do throws(Errno) {
            while case let count = next(buffer), count > 0 {
                let line = JSONValue.object([
                    "stdin": .string(Base64.encode(Array(buffer[..<count])))
                ])
                try connection.send(line.bytes + [10])
            }
            try connection.finish()
        } catch {
            // The run has ended: nobody takes more.
        }
    }

    /// Reads what there is; 0 is the end. What cannot be read ends, too, and is said: the command
    /// would wait for more until its deadline.
    private static func next(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        do throws(Errno) { return try Terminal.read(into: buffer, from: 0) } catch {
            Terminal.lose(0, error)
            return 0
        }
    }
}
