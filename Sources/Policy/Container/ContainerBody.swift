// SPDX-License-Identifier: Apache-2.0
package import JSON

/// Where and for what a container of a Docker engine is made: all that a policy does not say.
package struct ContainerPlace: Sendable, Hashable {
    /// How an engine takes a seccomp profile.
    package enum FilterForm: Sendable, Hashable {
        /// As text in the body (Docker).
        case inline
        /// As the path of a file on the engine's host (Podman).
        case file(String)
    }

    /// Whose sandboxes an engine of root's makes: `sandboxd-init` stops being root, and becomes this
    /// user in a user namespace with these subordinate ids (`rootful.c`).
    package struct Owner: Sendable, Hashable {
        package var user: UInt32
        package var group: UInt32
        package var firstUser: UInt32
        package var users: UInt32
        package var firstGroup: UInt32
        package var groups: UInt32

        package init(
            user: UInt32,
            group: UInt32,
            firstUser: UInt32,
            users: UInt32,
            firstGroup: UInt32,
            groups: UInt32
        ) {
            self.user = user
            self.group = group
            self.firstUser = firstUser
            self.users = users
            self.firstGroup = firstGroup
            self.groups = groups
        }

        var words: [String] {
            [user, group, firstUser, users, firstGroup, groups].map(String.init)
        }
    }

    /// The labels that it is found by. They carry ids and a time, which never change.
    package enum Label {
        package static let node = "io.sandboxd.node"
        package static let attempt = "io.sandboxd.attempt"
        package static let deadline = "io.sandboxd.deadline"
        /// Of an image: the digest of the tree that it was loaded from.
        package static let image = "io.sandboxd.image"
        /// Of an image: the store that it was loaded from, which alone uses and removes it.
        package static let store = "io.sandboxd.store"
    }

    /// The engine's id of the image: `sha256:…`.
    package var image: String
    /// The daemon's name among those that use this engine.
    package var node: String
    /// The attempt's id.
    package var attempt: String
    /// When it must be gone, in seconds since 1970.
    package var deadline: UInt64
    /// The attempt's directory on the host, absolute: `sandboxd-init` as `init`, and its socket.
    package var directory: String
    package var filter: FilterForm
    /// Whether the engine caps memory, swap, tasks and CPU; where it cannot, the daemon does.
    package var isCapped: Bool
    /// Whether /proc is unmasked by an option of its own (Podman).
    package var needsUnmask: Bool
    /// The OCI runtime; nil is the engine's own choice.
    package var runtime: String?
    /// Set where the engine runs as root; nil where it is the daemon's user already.
    package var owner: Owner?

    /// Tasks of ours in the container beside the job's: process 1, its child where there is an
    /// owner to become, and init.
    package var ownTasks: UInt32 { owner == nil ? 2 : 3 }

    package init(
        image: String,
        node: String,
        attempt: String,
        deadline: UInt64,
        directory: String,
        filter: FilterForm,
        isCapped: Bool,
        needsUnmask: Bool,
        runtime: String?,
        owner: Owner? = nil
    ) {
        self.image = image
        self.node = node
        self.attempt = attempt
        self.deadline = deadline
        self.directory = directory
        self.filter = filter
        self.isCapped = isCapped
        self.needsUnmask = needsUnmask
        self.runtime = runtime
        self.owner = owner
    }
}

extension Policy {
    /// Where the attempt's directory is in the container; `sandboxd-init` covers it.
    package static let containerStage = "/.sandboxd"

    /// What to ask a Docker engine for (`POST /containers/create`, API 1.41).
    ///
    /// The container is an outer wall: the image, a cgroup, no network, no privileges but to change
    /// ids. `/proc` is left unmasked for `sandboxd-init`, which mounts and masks the sandbox's own:
    /// the kernel lets it do that only where the old one can be seen whole.
    package func containerBody(_ place: ContainerPlace) -> JSONValue {
        .object([
            "Image": .string(place.image),
            "Entrypoint": .array([.string(Self.containerStage + "/init")]),
            "Cmd": .array(
                ((place.owner.map { ["rootful"] + $0.words } ?? ["container"])
                    + [Self.containerStage + "/control"]).map(JSONValue.string)
            ),
            "User": .string("0:0"),
            "WorkingDir": .string("/"),
            "Hostname": .string("sandbox"),
            "Env": .array([]),
            "Labels": .object([
                ContainerPlace.Label.node: .string(place.node),
                ContainerPlace.Label.attempt: .string(place.attempt),
                ContainerPlace.Label.deadline: .string(String(place.deadline)),
            ]),
            "Tty": .bool(false),
            "OpenStdin": .bool(false),
            "AttachStdin": .bool(false),
            "AttachStdout": .bool(false),
            "AttachStderr": .bool(false),
            "StopSignal": .string("SIGKILL"),
            "HostConfig": .object(hostConfig(place)),
        ])
    }

    /// The same for no run in particular: an engine that caps, and words where a run has its own.
    package func containerExample() -> JSONValue {
        containerBody(
            ContainerPlace(
                image: "IMAGE",
                node: "NODE",
                attempt: "ATTEMPT",
                deadline: 0,
                directory: "/DIRECTORY",
                filter: .inline,
                isCapped: true,
                needsUnmask: false,
                runtime: runtime
            )
        )
    }

    private func hostConfig(_ place: ContainerPlace) -> [String: JSONValue] {
        var options: [JSONValue] = [.string("no-new-privileges"), seccompOption(place)]
        if place.needsUnmask { options.append(.string("unmask=ALL")) }
        var config: [String: JSONValue] = [
            "Binds": .array([.string(place.directory + ":" + Self.containerStage + ":ro")]),
            "NetworkMode": .string("none"),
            "IpcMode": .string("private"),
            "CgroupnsMode": .string("private"),
            "ReadonlyRootfs": .bool(true),
            "Privileged": .bool(false),
            "CapDrop": .array([.string("ALL")]),
            "CapAdd": .array([.string("SETGID"), .string("SETUID")]),
            "SecurityOpt": .array(options),
            "MaskedPaths": .array([]),
            "ReadonlyPaths": .array([]),
            "LogConfig": .object(["Type": .string("none"), "Config": .object([:])]),
            "RestartPolicy": .object([
                "Name": .string("no"), "MaximumRetryCount": .number("0"),
            ]),
            "AutoRemove": .bool(false),
            "Init": .bool(false),
        ]
        if let runtime = place.runtime { config["Runtime"] = .string(runtime) }
        if place.isCapped {
            config["Memory"] = .number(String(limits.memoryBytes))
            config["MemorySwap"] = .number(String(limits.memoryBytes + limits.swapBytes))
            config["PidsLimit"] = .number(String(limits.pids + place.ownTasks))
            config["NanoCpus"] = .number(String(UInt64(limits.cpuMillicores) * 1_000_000))
        }
        return config
    }

    private func seccompOption(_ place: ContainerPlace) -> JSONValue {
        switch place.filter {
        case .inline:
            .string("seccomp=" + String(decoding: containerFilter().bytes, as: UTF8.self))
        case .file(let path): .string("seccomp=" + path)
        }
    }
}
