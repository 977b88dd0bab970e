// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

/// The programs that decompress layers.
struct ImportTools {
    let searchPath: [FilePath]

    /// The program for a kind of compression; `refuse` makes the error when there is none.
    func decompressor(
        _ compression: Compression,
        refuse: (String) -> ImageError
    ) throws(ImageError) -> Tool {
        let name = compression.rawValue
        guard compression == .gzip || compression == .zstd else {
            throw refuse("is compressed with \(name), which layers are not: save it again")
        }
        do {
            return try Tool(name, searchPath: searchPath, environment: ["LC_ALL": "C.UTF-8"])
        } catch .toolMissing {
            throw refuse(
                "is compressed with \(name), which is not installed: run 'apt-get install \(name)'"
            )
        }
    }
}
