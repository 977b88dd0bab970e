// SPDX-License-Identifier: Apache-2.0

/// How the private server is set up: small, durable, and on no network.
struct ServerSettings {
    private let configuration: EmbeddedCluster.Configuration

    init(_ configuration: EmbeddedCluster.Configuration) {
        self.configuration = configuration
    }

    /// Arguments of `postgres`, which come before what postgresql.conf says.
    var arguments: [String] {
        values.flatMap { ["-c", "\($0.0)=\($0.1)"] }
    }

    private var values: [(String, String)] {
        [
            ("listen_addresses", ""),
            ("port", "5432"),
            ("unix_socket_permissions", "0700"),
            ("max_connections", "\(configuration.maxConnections)"),
            ("shared_buffers", "\(configuration.sharedBuffersMebibytes)MB"),
            // A file in the cluster and not /dev/shm, which is 64 MB in most containers and which
            // a killed server would leave filled.
            ("dynamic_shared_memory_type", "mmap"),
            ("huge_pages", "off"),
            // Nothing here is worth a second process, or a compiler.
            ("max_parallel_workers_per_gather", "0"),
            ("max_worker_processes", "2"),
            ("jit", "off"),
            ("autovacuum", "on"),
            ("autovacuum_max_workers", "1"),
            // What a COMMIT answered is on the disk.
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("min_wal_size", "32MB"),
            ("max_wal_size", "256MB"),
            ("restart_after_crash", "on"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_destination", "stderr"),
            ("logging_collector", "off"),
            ("log_checkpoints", "off"),
            // A statement may hold what is nobody else's business.
            ("log_min_error_statement", "panic"),
        ]
    }
}
