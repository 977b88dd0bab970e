// SPDX-License-Identifier: Apache-2.0

/// One entry of a tar archive, as it is written there.
struct TarEntry {
    /// What it makes.
    enum Kind: Equatable {
        case directory
        /// A file whose bytes are at `offset` of the archive.
        case file(offset: Int, bytes: Int, isProgram: Bool)
        /// Another name for what is at this path of the archive.
        case hardLink([UInt8])
        case symbolicLink([UInt8])
        /// A device or a FIFO.
        case special
    }

    /// Its path as it is written: it may say anything.
    let path: [UInt8]

    let kind: Kind
}
