// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// Where, and how large.
    package struct Configuration: Sendable {
        /// The directory, of this user alone; made when it is missing, its parent is not.
        package var directory: String
        /// The path of `sandboxd-init`.
        package var initProgram: String
        /// PostgreSQL's cache, in MiB.
        package var sharedBuffersMebibytes = 32
        /// As many sessions as it takes.
        package var maxConnections = 40
        /// How long the server may take to accept connections.
        package var startLimit = Duration.seconds(30)

        /// The usual one.
        package init(directory: String, initProgram: String) {
            self.directory = directory
            self.initProgram = initProgram
        }
    }

    /// What happened to the server, for a log.
    package enum Event: Sendable, Hashable {
        /// It takes connections.
        case ready(pid: Int32)
        /// It ended by itself, or could not be started again; another attempt follows.
        case down(String)
    }
}
