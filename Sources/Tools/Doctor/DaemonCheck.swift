// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Kernel
internal import SystemPackage

/// A daemon answers. That none does yet is no fault of the machine's.
struct DaemonCheck: Check {
    let name = "daemon"

    func look(at patient: Patient) -> Finding {
        do {
            let connection: Connection
            do throws(Errno) {
                connection = try Connection(path: patient.socket)
                try connection.begin("GET", "/healthz", headers: [:])
                try connection.finish()
            } catch {
                throw ClientError.notRunning(socket: patient.socket, error)
            }
            let status = try connection.response().status
            guard status == 200 else {
                return .info("something answers on \(patient.socket), with status \(status)")
            }
            return .ok("answers on \(patient.socket)")
        } catch {
            return .info("\(error)")
        }
    }
}
