// SPDX-License-Identifier: Apache-2.0

/// How large an archive's image may be.
struct ImportLimits {
    /// Bytes of all layers together, decompressed, those included that upper layers replace.
    var layerBytes = 32 << 30

    /// Entries of one layer.
    var entries = 500_000

    var room = LayeredTree.Room()
}
