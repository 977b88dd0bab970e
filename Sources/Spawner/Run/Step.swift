// SPDX-License-Identifier: Apache-2.0

/// What was being done when a sandbox could not be made.
///
/// The numbers are `enum sbx_step` of `CChannel.h`; a test holds the two together.
package enum Step: Int32, Sendable, CaseIterable {
    case none = 0
    case `protocol` = 1
    case userNamespace = 2
    case idMap = 3
    case namespaces = 4
    case parentDeath = 5
    case root = 6
    case dev = 7
    case clone = 8
    case cgroup = 9
    case credentials = 10
    case proc = 11
    case procMask = 12
    case workspace = 13
    case sharedMemory = 14
    case pts = 15
    case loopback = 16
    case hostname = 17
    case affinity = 18
    case inputFile = 19
    case fork = 20
    case streams = 21
    case workingDirectory = 22
    case oomScore = 23
    case priority = 24
    case rlimits = 25
    case capabilities = 26
    case landlock = 27
    case noNewPrivs = 28
    case descriptors = 29
    case seccomp = 30
    case execve = 31
    case supervise = 32
    case proxy = 33
    case collect = 34
}
