// SPDX-License-Identifier: Apache-2.0
internal import JSON

extension CreatedContainer {
    init(_ reading: Reading) throws(DockerError.Reason) {
        id = try reading.identifier("Id")
        warnings = try reading.texts("Warnings").map { Visible.text($0) }
    }
}

extension Container {
    init(_ reading: Reading) throws(DockerError.Reason) {
        let config = reading.raw("Config") ?? .null
        let hostConfig = reading.raw("HostConfig") ?? .null
        id = try reading.identifier("Id")
        name = Self.withoutSlash(try reading.requiredText("Name"))
        imageID = try reading.requiredText("Image")
        state = try ContainerState(reading.requiredObject("State"))
        labels = try reading.object("Config")?.dictionary("Labels") ?? [:]
        runtime = try reading.object("HostConfig")?.text("Runtime")
        mounts = try ContainerMount.all(reading)
        self.config = config
        self.hostConfig = hostConfig
    }

    fileprivate static func withoutSlash(_ name: String) -> String {
        String(name.drop { $0 == "/" })
    }
}

extension ContainerMount {
    fileprivate static func all(_ reading: Reading) throws(DockerError.Reason) -> [ContainerMount] {
        var mounts: [ContainerMount] = []
        for mount in try reading.objects("Mounts") {
            mounts.append(
                ContainerMount(
                    type: try mount.text("Type") ?? "",
                    source: try mount.text("Source") ?? "",
                    destination: try mount.requiredText("Destination"),
                    // What is not said to be read-only is not.
                    isWritable: try mount.flag("RW") ?? true
                )
            )
        }
        return mounts
    }
}

extension ContainerSummary {
    init(_ reading: Reading) throws(DockerError.Reason) {
        id = try reading.identifier("Id")
        names = try reading.texts("Names").map(Container.withoutSlash)
        imageID = try reading.text("ImageID") ?? ""
        labels = try reading.dictionary("Labels")
        status = ContainerStatus(try reading.text("State") ?? "")
    }
}

extension Reading {
    /// A container's id, which goes into paths of requests.
    fileprivate func identifier(_ key: String) throws(DockerError.Reason) -> String {
        let id = try requiredText(key)
        guard id.utf8.count <= 64, id.utf8.count >= 12, id.utf8.allSatisfy(\.isHexadecimal) else {
            throw wrong(key, "'\(Visible.text(id, limit: 200))', and no id")
        }
        return id
    }
}
