internal import CLinux
// SPDX-License-Identifier: Apache-2.0
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
        _ = try kernel {
            clx_thread(
                { context in
                    guard let context else { return }
                    InputPump.run(Unmanaged<Connection>.fromOpaque(context).takeRetainedValue())
                },
                context
            )
        }
    }

    private static func run(_ connection: Connection) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        defer { buffer.deallocate() }
        do throws(Errno) {
            while true {
                let count = try kernel { read(0, buffer.baseAddress, buffer.count) }
                if count == 0 { break }
                let line = JSONValue.object([
                    "stdin": .string(Base64.encode(Array(buffer[..<count])))
                ])
                try connection.send(line.bytes + [10])
            }
            try connection.finish()
        } catch {
            // The run has ended, or this input cannot be read any more: either way it is over.
        }
    }
}
