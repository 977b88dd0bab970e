// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Images
internal import Policy
internal import Spawner
internal import Synchronization
internal import SystemPackage

/// The profiles of this daemon, each with its compiled filter, and the images they name.
///
/// Loaded once: what a run is held to cannot change under a running daemon.
final class Catalogue: Sendable {
    /// One profile, ready for use.
    struct Entry: Sendable {
        var policy: Policy
        /// BPF, as the kernel takes it.
        var filter: [UInt8]
    }

    private let entries: [String: Entry]
    private let images: ImageStore?
    private let imagesError: ImageError?
    private let held = Mutex(Held())

    private struct Held {
        /// The images in use, by name, so that a run need not look its image up again.
        var byName: [String: HeldImage] = [:]
        /// Every image that was used, by digest. It is held for as long as this daemon lives, for an
        /// engine's launcher lives as long and has the tree mounted.
        var byDigest: [ImageDigest: ImageLease] = [:]
    }

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
    func image(of policy: Policy) throws(ImageError) -> HeldImage {
        let images = try store(for: policy)
        let stamp = FileStamp(images.path.appending("names").appending(policy.image).string)
        if let held = held.withLock({ $0.byName[policy.image] }), held.stamp == stamp, stamp != nil
        {
            return held
        }
        let found = try hold(try images.resolve(policy.image), stamp, images)
        held.withLock { $0.byName[policy.image] = found }
        return found
    }

    /// The same, or the image with a digest that the store names as what the policy's image was
    /// before or may be next: so that it can be tried. A profile runs on no other image, whoever
    /// asks.
    func image(of policy: Policy, trying wanted: String?) throws(APIError) -> HeldImage {
        guard let wanted else {
            return try APIError.refusing { () throws(ImageError) in try image(of: policy) }
        }
        let found = try APIError.refusing { () throws(ImageError) -> HeldImage? in
            let images = try store(for: policy)
            let named = try images.images(named: policy.image)
            let image = [named.candidate, named.previous, named.current]
                .compactMap { $0 }.first { "\($0.digest)" == wanted }
            return try image.map { (image) throws(ImageError) in try hold(image, nil, images) }
        }
        guard let found else {
            throw .invalid(
                "'image' is neither the candidate nor the previous image of '\(policy.image)'"
            )
        }
        return found
    }

    /// Why runs of a profile could not be let in now; nil when they can.
    func refusal(of policy: Policy) -> String? {
        do throws(ImageError) {
            // Not held: to ask is no use of it.
            _ = try store(for: policy).resolve(policy.image)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// The image store's name in the labels of its copies in container engines; without a store, nobody's.
    var storeIdentity: String { images?.identity ?? "" }

    private func store(for policy: Policy) throws(ImageError) -> ImageStore {
        guard let images else { throw imagesError ?? .missing(policy.image, store: "") }
        return images
    }

    private func hold(
        _ image: Image,
        _ stamp: FileStamp?,
        _ images: ImageStore
    ) throws(ImageError) -> HeldImage {
        let lease = try images.hold(image)
        held.withLock { $0.byDigest[image.digest] = lease }
        return HeldImage(
            root: RootImage(rootfs: image.rootfs.string, digest: "\(image.digest)"),
            lease: lease,
            stamp: stamp
        )
    }
}

/// An image that cannot be removed while this is held.
struct HeldImage: Sendable {
    let root: RootImage
    let lease: ImageLease
    /// Of the file that names it: another one means another image under the name.
    fileprivate let stamp: FileStamp?
}

/// Tells a file from the one that replaced it.
private struct FileStamp: Hashable, Sendable {
    private let inode: UInt64
    private let seconds: Int
    private let nanoseconds: Int

    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        inode = UInt64(status.st_ino)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}
