// SPDX-License-Identifier: Apache-2.0

/// Why a text is no quantity: what is wrong, and how it is written.
struct MalformedQuantity: Error, Hashable {
    /// What is wrong, to follow the quoted text: "is negative".
    let problem: String
    /// How to write it instead.
    let mend: String
}

/// A number of bytes: `512MiB`.
enum ByteSize {
    private static let units = [
        Unit(name: "TiB", factor: .tebibyte),
        Unit(name: "GiB", factor: .gibibyte),
        Unit(name: "MiB", factor: .mebibyte),
        Unit(name: "KiB", factor: .kibibyte),
        Unit(name: "B", factor: 1),
    ]
    private static let form = "write a whole number and B, KiB, MiB, GiB or TiB, such as 512MiB"

    static func value(of text: String) throws(MalformedQuantity) -> UInt64 {
        // Zero is the same in every unit.
        if text == "0" { return 0 }
        return try Unit.value(of: text, in: units, form: form)
    }

    static func written(_ value: UInt64) -> String {
        Unit.written(value, in: units)
    }
}

/// A time in milliseconds: `30s`.
enum TimeSpan {
    private static let units = [
        Unit(name: "h", factor: 3_600_000),
        Unit(name: "min", factor: 60_000),
        Unit(name: "s", factor: 1000),
        Unit(name: "ms", factor: 1),
    ]
    private static let form = "write a whole number and ms, s, min or h, such as 30s"

    static func value(of text: String) throws(MalformedQuantity) -> UInt64 {
        try Unit.value(of: text, in: units, form: form)
    }

    static func written(_ value: UInt64) -> String {
        Unit.written(value, in: units)
    }
}

/// How many of something: `128`.
enum Count {
    private static let form = "write a whole number, such as 128"

    static func value(of text: String) throws(MalformedQuantity) -> UInt64 {
        try Digits.value(of: text[...], form: form)
    }
}

/// CPU time in thousandths of a core, written in cores: `1.5`.
enum Cores {
    private static let form =
        "write a number of cores with at most three decimals, such as 1 or 1.5"

    static func value(of text: String) throws(MalformedQuantity) -> UInt64 {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = try Digits.value(of: parts[0], form: form)
        var thousandths: UInt64 = 0
        if parts.count == 2 {
            guard (1...3).contains(parts[1].count) else { throw .malformed(form) }
            let padding = String(repeating: "0", count: 3 - parts[1].count)
            thousandths = try Digits.value(of: parts[1] + padding, form: form)
        }
        let (product, overflow) = whole.multipliedReportingOverflow(by: 1000)
        let (sum, carry) = product.addingReportingOverflow(thousandths)
        guard !overflow, !carry else { throw .tooLarge(form) }
        return sum
    }

    static func written(_ value: UInt64) -> String {
        let thousandths = value % 1000
        if thousandths == 0 { return String(value / 1000) }
        var decimals = String(String(1000 + thousandths).dropFirst())
        while decimals.hasSuffix("0") { decimals.removeLast() }
        return "\(value / 1000).\(decimals)"
    }
}

/// One unit of a family, the largest of which is listed first.
private struct Unit {
    let name: String
    let factor: UInt64

    static func value(
        of text: String,
        in units: [Unit],
        form: String
    ) throws(MalformedQuantity) -> UInt64 {
        let number = text.prefix { !$0.isLetter && $0 != " " }
        var name = text[number.endIndex...]
        // One space between number and unit is a matter of taste.
        if name.hasPrefix(" ") { name.removeFirst() }
        let count = try Digits.value(of: number, form: form)
        guard let unit = units.first(where: { $0.name == name }) else { throw .malformed(form) }
        let (product, overflow) = count.multipliedReportingOverflow(by: unit.factor)
        guard !overflow else { throw .tooLarge(form) }
        return product
    }

    /// The value in the largest unit that holds it exactly.
    static func written(_ value: UInt64, in units: [Unit]) -> String {
        if value == 0 { return "0" }
        for unit in units where value.isMultiple(of: unit.factor) {
            return "\(value / unit.factor)\(unit.name)"
        }
        preconditionFailure("every family of units ends with the factor 1")
    }
}

private enum Digits {
    /// Only the ten digits: `Int(_:)` would take a plus sign, and YAML would take `0x10`.
    static func value(of text: Substring, form: String) throws(MalformedQuantity) -> UInt64 {
        if text.hasPrefix("-") { throw MalformedQuantity(problem: "is negative", mend: form) }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw .malformed(form)
        }
        guard let value = UInt64(text) else { throw .tooLarge(form) }
        return value
    }
}

extension MalformedQuantity {
    fileprivate static func malformed(_ form: String) -> MalformedQuantity {
        MalformedQuantity(problem: "is malformed", mend: form)
    }

    fileprivate static func tooLarge(_ form: String) -> MalformedQuantity {
        MalformedQuantity(problem: "does not fit into 64 bits", mend: form)
    }
}
