// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// What every Swift target is held to: Swift 6 mode, and no warning survives.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// What every C target is held to.
let strictC: [CSetting] = [
    .enableWarning("all"),
    .enableWarning("extra"),
    .treatAllWarnings(as: .error),
    .define("_GNU_SOURCE"),
]

let package = Package(
    name: "sandboxd",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // C: each hides what Swift cannot call, and nothing else.
        .target(
            name: "CSeccomp",
            cSettings: strictC,
            linkerSettings: [.linkedLibrary("seccomp"), .linkedLibrary("cap")]
        ),
        .target(name: "CLinux", cSettings: strictC),
        .target(name: "CChannel", cSettings: strictC),
        .target(
            name: "CCurl",
            cSettings: strictC,
            linkerSettings: [.linkedLibrary("curl")]
        ),
        .target(
            name: "CPostgres",
            cSettings: strictC,
            linkerSettings: [.linkedLibrary("pq")]
        ),

        // Swift, from the ground up. Arrows point down only.
        .target(
            name: "Kernel",
            dependencies: [
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Policy",
            dependencies: ["CSeccomp", "JSON", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict
        ),
        .target(
            name: "Images",
            dependencies: [
                "JSON",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "DockerAPI",
            dependencies: [
                "CCurl",
                "CLinux",
                "JSON",
                "Kernel",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Spawner",
            dependencies: [
                "CChannel",
                "CLinux",
                "DockerAPI",
                "JSON",
                "Kernel",
                "Policy",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Egress",
            dependencies: [
                "Policy",
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(name: "JSON", swiftSettings: strict),
        .target(
            name: "Postgres",
            dependencies: [
                "CLinux",
                "CPostgres",
                "Kernel",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Tasks",
            dependencies: [
                "JSON", "Kernel", "Postgres", .product(name: "Crypto", package: "swift-crypto"),
            ],
            resources: [.embedInCode("Schema")],
            swiftSettings: strict
        ),
        .target(
            name: "Reaper",
            dependencies: [
                "Kernel",
                "Spawner",
                "Tasks",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Client",
            dependencies: [
                "JSON",
                "Kernel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        // What a person types. It starts for every run, so it has few libraries, and in a release
        // build no dynamic one (docs/decisions/0003).
        .executableTarget(
            name: "sandboxd",
            dependencies: [
                "CLinux",
                "Client",
                "JSON",
                "Kernel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
                + [.unsafeFlags(["-static-executable"], .when(configuration: .release))],
            linkerSettings: [
                .unsafeFlags(["-static-executable"], .when(configuration: .release))
            ]
        ),
        // What `sandboxd` becomes for its other commands.
        .executableTarget(
            name: "sandboxd-tools",
            dependencies: [
                "CLinux",
                "Client",
                "DockerAPI",
                "Images",
                "JSON",
                "Kernel",
                "Policy",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Sources/Tools",
            swiftSettings: strict
        ),
        // What `sandboxd serve` becomes.
        .executableTarget(
            name: "sandboxd-daemon",
            dependencies: [
                "CChannel",
                "CLinux",
                "DockerAPI",
                "Egress",
                "Images",
                "JSON",
                "Kernel",
                "Policy",
                "Postgres",
                "Reaper",
                "Spawner",
                "Tasks",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Daemon",
            swiftSettings: strict
        ),

        // Keeps a cluster until it is killed, for the tests of just that.
        .executableTarget(
            name: "postgres-owner",
            dependencies: ["Kernel", "Postgres"],
            path: "Tests/PostgresOwner",
            swiftSettings: strict
        ),
        .testTarget(
            name: "PolicyTests",
            dependencies: ["CSeccomp", "JSON", "Policy"],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClientTests",
            dependencies: ["Client", "JSON", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict
        ),
        .testTarget(name: "ImagesTests", dependencies: ["Images"], swiftSettings: strict),
        .testTarget(
            name: "PostgresTests",
            dependencies: [
                "Postgres",
                "postgres-owner",
                "Kernel",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TasksTests",
            dependencies: ["Tasks", "Postgres", "Kernel"],
            exclude: ["worker.py"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ReaperTests",
            dependencies: ["Reaper", "Tasks"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgressTests",
            dependencies: [
                "Egress",
                "Policy",
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "KernelTests", dependencies: ["Kernel"], swiftSettings: strict),
        .testTarget(
            name: "DockerAPITests",
            dependencies: [
                "DockerAPI",
                "JSON",
                "Kernel",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ToolsTests",
            dependencies: [
                "sandboxd-tools",
                "Images",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SpawnerTests",
            dependencies: ["Spawner", "CChannel", "CLinux", "DockerAPI"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EngineTests",
            dependencies: [.product(name: "Yams", package: "Yams")],
            exclude: [
                "Containers/faulty_engine.py", "Browser/compare.py", "Browser/hostile",
                "Browser/pictures", "Browser/site",
            ],
            swiftSettings: strict
        ),
    ]
)
