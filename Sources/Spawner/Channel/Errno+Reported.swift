// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension Errno {
    /// What somebody says that the kernel answered; nil for a number that it never answers: its own
    /// are 1 to 4095 (`MAX_ERRNO`).
    init?(reported number: Int32) {
        guard (1...4095).contains(number) else { return nil }
        self.init(rawValue: number)
    }
}
