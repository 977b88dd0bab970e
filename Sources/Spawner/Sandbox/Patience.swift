// SPDX-License-Identifier: Apache-2.0

/// How long one attempt waits for what it cannot hurry.
package struct Patience: Sendable, Hashable {
    /// For init to make the sandbox; the permission to open the gate comes after.
    package var setup = Duration.seconds(20)
    /// init ends the job at its deadline by itself; after this much more the daemon ends init.
    package var deadlineGrace = Duration.seconds(5)
    /// For init to hand out what is left, and to go away.
    package var teardown = Duration.seconds(20)
    /// For an init that did not to die of being killed.
    package var death = Duration.seconds(5)

    package init() {}
}
