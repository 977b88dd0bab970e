// SPDX-License-Identifier: Apache-2.0
internal import Client

/// What a budget counts. The raw value is the API's key.
enum BudgetUnit: String, CaseIterable {
    case cpu = "cpu_ms"
    case memory = "memory_mib_s"
    case wall = "wall_ms"
    case runs
    case egress = "egress_bytes"
    case money = "money_nanos"

    /// For a person.
    var name: String {
        switch self {
        case .cpu: "CPU"
        case .memory: "memory"
        case .wall: "wall time"
        case .runs: "runs"
        case .egress: "egress"
        case .money: "money"
        }
    }

    /// How many of the API's units are one of the command line's.
    var scale: Int {
        switch self {
        case .cpu, .wall: 1000
        case .memory: 1024
        case .runs, .egress: 1
        case .money: 1_000_000_000
        }
    }

    /// A number of the API's, with its unit.
    func text(_ count: Int) -> String {
        switch self {
        case .cpu, .wall: FixedPoint.text(count, per: scale) + " s"
        case .memory:
            count < scale
                ? "\(count) MiB·s" : FixedPoint.text(count, per: scale, digits: 3) + " GiB·s"
        case .runs, .money: FixedPoint.text(count, per: scale)
        case .egress: ByteSize.text(count)
        }
    }
}
