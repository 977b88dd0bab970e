// SPDX-License-Identifier: Apache-2.0

/// A machine's architecture. The raw value is the kernel's `AUDIT_ARCH_` number (linux/audit.h).
package enum Architecture: UInt32, Sendable, Hashable, CaseIterable {
    case x86_64 = 0xc000_003e
    case aarch64 = 0xc000_00b7

    /// The one this program was built for.
    package static var host: Architecture {
        #if arch(x86_64)
            .x86_64
        #elseif arch(arm64)
            .aarch64
        #else
            #error("the filter does not know this architecture")
        #endif
    }

    /// How people call it.
    package var name: String {
        switch self {
        case .x86_64: "x86_64"
        case .aarch64: "aarch64"
        }
    }
}
