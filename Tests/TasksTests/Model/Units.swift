// SPDX-License-Identifier: Apache-2.0

/// An amount of everything that a budget counts, in the order of `names`.
struct Units: Hashable, CustomStringConvertible {
    static let names = [
        "cpu_ms", "memory_mib_s", "wall_ms", "runs", "egress_bytes", "money_nanos",
    ]

    var cpu = 0
    var memory = 0
    var wall = 0
    var runs = 0
    var egress = 0
    var money = 0

    var values: [Int] { [cpu, memory, wall, runs, egress, money] }
    var description: String { "\(values)" }

    static func + (a: Units, b: Units) -> Units {
        Units(
            cpu: a.cpu + b.cpu,
            memory: a.memory + b.memory,
            wall: a.wall + b.wall,
            runs: a.runs + b.runs,
            egress: a.egress + b.egress,
            money: a.money + b.money
        )
    }

    static func - (a: Units, b: Units) -> Units {
        Units(
            cpu: a.cpu - b.cpu,
            memory: a.memory - b.memory,
            wall: a.wall - b.wall,
            runs: a.runs - b.runs,
            egress: a.egress - b.egress,
            money: a.money - b.money
        )
    }

    /// Whether no cap is passed; nil does not hold.
    func fit(_ caps: [Int?]) -> Bool {
        zip(values, caps).allSatisfy { value, cap in cap.map { value <= $0 } ?? true }
    }
}

/// Prices in nanos, in the order in which budgets have them.
struct Prices: Hashable {
    static let names = ["price_cpu_s", "price_memory_gib_s", "price_run", "price_egress_gib"]

    var values = [0, 0, 0, 0]

    /// The same arithmetic as the SQL function `sandboxd.money`, operation by operation.
    func money(_ units: Units) -> Int {
        guard values.contains(where: { $0 != 0 }) else { return 0 }
        let sum =
            Double(units.cpu) * Double(values[0]) / 1000
            + Double(units.memory) * Double(values[1]) / 1024
            + Double(units.runs) * Double(values[2])
            + Double(units.egress) * Double(values[3]) / 1_073_741_824
        return Int(min(sum.rounded(.up), 4e18))
    }

    /// The amount with what it costs.
    func pricing(_ units: Units) -> Units {
        var priced = units
        priced.money = money(units)
        return priced
    }
}
