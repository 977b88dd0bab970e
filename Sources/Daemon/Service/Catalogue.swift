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
    /// The images in use, by name, so that a run need not look its image up again.
    private let held = Mutex<[String: HeldImage]>([:])

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
        guard let images else {
            throw imagesError ?? .missing(policy.image, store: "")
        }
        let stamp = FileStamp(images.path.appending("names").appending(policy.image).string)
        if let held = held.withLock({ $0[policy.image] }), held.stamp == stamp, stamp != nil {
            return held
        }
        let image = try images.resolve(policy.image)
        let found = HeldImage(
            root: RootImage(rootfs: image.rootfs.string, digest: "\(image.digest)"),
            lease: try images.hold(image),
            stamp: stamp
        )
        held.withLock { $0[policy.image] = found }
        return found
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
