// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Why a call to the container engine came to nothing: which call it was, and what went wrong.
///
/// Whatever the engine or a stranger on its socket said is in it bounded and on one line, and a
/// registry's credentials never are.
package struct DockerError: Error, Sendable, Hashable {
    /// The call, by the word that a verdict's step uses.
    package enum Call: String, Sendable, Hashable, CaseIterable {
        /// Reading where the engine is.
        case address
        /// Reading an image's name.
        case reference
        case ping
        case version
        case info
        case create
        case start
        case kill
        case remove
        case inspect
        case list
        case imageInspect = "image inspect"
        case imageImport = "image import"
        case imageLoad = "image load"
        case imageSave = "image save"
        case imagePull = "image pull"
        case imageRemove = "image remove"
        case imageList = "image list"
        case imageTag = "image tag"
    }

    /// What has a limit in bytes.
    package enum Part: String, Sendable, Hashable {
        case header
        case body
        case line
    }

    /// What went wrong.
    package enum Reason: Error, Sendable, Hashable {
        /// What was asked for makes no sense. Nothing was sent.
        case invalid(String)
        /// Nobody answers on the socket. Nothing was sent.
        case unreachable(path: String, Errno)
        /// Something answers, and it is no engine: why that is thought.
        case notAnEngine(String)
        /// The newest API that the engine speaks is older than ours.
        case tooOld(String)
        /// The oldest API that the engine speaks is newer than ours.
        case tooNew(String)
        /// The call was not over in time; what came of it is unknown.
        case late(after: Duration)
        /// Nothing moved in either direction for so long; what came of it is unknown.
        case silent(for: Duration)
        /// The answer is larger than it may be; the connection was closed.
        case tooLarge(Part, limit: Int)
        /// The connection ended in the middle; what came of the call is unknown.
        case lost(String)
        /// The engine refused, with a status and words of its own.
        case answered(status: Int, String)
        /// The engine said that it failed, in the middle of an answer that had begun well.
        case reported(String)
        /// A container of this name is there already; the engine's words.
        case nameTaken(String, said: String)
        /// Containers use the image; the engine's words.
        case inUse(String)
        /// The answer is not as it is documented: what of it.
        case unreadable(String)
        /// What was to be sent could not be read.
        case source(Errno)
        /// What came could not be written down.
        case sink(Errno)
        /// The caller's task was cancelled; what came of the call is unknown.
        case cancelled
        /// The client was closed.
        case closed
    }

    package let call: Call
    package let reason: Reason

    /// One of this call, for this reason.
    package init(_ call: Call, _ reason: Reason) {
        self.call = call
        self.reason = reason
    }
}

extension DockerError {
    /// The status that the engine refused with, if that is what it did.
    package var status: Int? {
        if case .answered(let status, _) = reason { status } else { nil }
    }

    /// Whether it tells against the engine's health, and not against what was asked of it.
    ///
    /// A 500 counts, except where an engine says it of what others made: an archive, a registry.
    package var blamesEngine: Bool {
        switch reason {
        case .unreachable, .notAnEngine, .tooOld, .tooNew, .late, .silent, .tooLarge, .lost,
            .unreadable:
            true
        case .answered(let status, _): status >= 500 && !carriesContents
        case .invalid, .reported, .nameTaken, .inUse, .source, .sink, .cancelled, .closed: false
        }
    }

    private var carriesContents: Bool {
        switch call {
        case .imageImport, .imageLoad, .imagePull: true
        default: false
        }
    }
}
