// SPDX-License-Identifier: Apache-2.0
internal import Images
internal import Policy
internal import Spawner
internal import SystemPackage

/// The profiles of this daemon, each with its compiled filter, and the images they name.
///
/// Loaded once: what a run is held to cannot change under a running daemon.
struct Catalogue: Sendable {
    /// One profile, ready for use.
    struct Entry: Sendable {
        var policy: Policy
        /// BPF, as the kernel takes it.
        var filter: [UInt8]
    }

    private let entries: [String: Entry]
    private let images: ImageStore?
    private let imagesError: ImageError?

    /// Loads every profile and compiles its filter. A store that cannot be opened is told at the
    /// first run that needs it, so that a daemon can be up before its first image is.
    init(_ configuration: Configuration) throws(DaemonError) {
        var entries: [String: Entry] = [:]
        for policy in try Self.policies(configuration.profiles) {
            entries[policy.name] = try Self.entry(policy)
        }
        self.entries = entries
        let path =
            configuration.images.map { FilePath($0) }
            ?? ImageStore.defaultPath(environment: Environment.all)
        do throws(ImageError) {
            images = try ImageStore.open(path)
            imagesError = nil
        } catch {
            images = nil
            imagesError = error
        }
    }

    private static func policies(_ directory: String) throws(DaemonError) -> [Policy] {
        do throws(ProfileError) {
            let store = try ProfileStore(directory: directory)
            var policies: [Policy] = []
            for name in store.names { policies.append(try store.policy(named: name)) }
            return policies
        } catch {
            throw .profiles(error)
        }
    }

    private static func entry(_ policy: Policy) throws(DaemonError) -> Entry {
        do throws(SeccompError) {
            return Entry(policy: policy, filter: try policy.seccompProgram().bytes)
        } catch {
            throw .filter(profile: policy.name, error)
        }
    }

    /// The profiles' names, in order.
    var names: [String] { entries.keys.sorted() }

    /// A profile by its name.
    func entry(named name: String) -> Entry? { entries[name] }

    /// The image of a policy, held so that nobody removes it.
    func image(of policy: Policy) throws(ImageError) -> (RootImage, ImageLease) {
        guard let images else {
            throw imagesError ?? .missing(policy.image, store: "")
        }
        let image = try images.resolve(policy.image)
        let lease = try images.hold(image)
        return (
            RootImage(rootfs: image.rootfs.string, digest: "\(image.digest)"), lease
        )
    }
}
