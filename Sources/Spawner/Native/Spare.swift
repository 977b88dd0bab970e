// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// A cell that was asked for and has no run yet: everything about it that does not depend on a run
/// is being made or is there. It is used once, like every cell.
///
/// Belongs to the event loop's thread.
final class Spare {
    let cell: Cell
    private var process: Result<Descriptor, SpawnError>?
    private var waiting: Launched?

    init(_ cell: Cell) {
        self.cell = cell
    }

    /// Whether it is known that it cannot be used.
    var hasFailed: Bool {
        if case .failure = process { true } else { false }
    }

    /// The launcher's answer.
    func launched(_ answer: Result<Descriptor, SpawnError>) {
        process = answer
        waiting?(answer)
        waiting = nil
    }

    /// Passes the launcher's answer on, now or when it comes.
    func tell(_ launched: @escaping Launched) {
        if let process { launched(process) } else { waiting = launched }
    }
}
