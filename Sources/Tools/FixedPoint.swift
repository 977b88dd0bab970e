// SPDX-License-Identifier: Apache-2.0

/// Numbers with a point, kept as whole numbers of a small unit: no binary fraction comes near money.
enum FixedPoint {
    private static let digitsLimit = 9

    /// How many units `text` is, with `scale` units to one; rounded to the nearest. nil when it is no
    /// number from 0 on with at most nine digits after the point, or too large.
    static func parse(_ text: String, per scale: Int) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : "0"
        guard let first = parts.first, let whole = number(first), let after = number(fraction),
            fraction.utf8.count <= digitsLimit
        else { return nil }
        let divisor = (0..<fraction.utf8.count).reduce(1) { value, _ in value * 10 }
        let (units, overflow) = whole.multipliedReportingOverflow(by: scale)
        let (product, productOverflow) = after.multipliedReportingOverflow(by: scale)
        guard !overflow, !productOverflow else { return nil }
        // To the nearest, without a sum that could overflow.
        let rest = product / divisor + (product % divisor * 2 >= divisor ? 1 : 0)
        let (sum, sumOverflow) = units.addingReportingOverflow(rest)
        return sumOverflow ? nil : sum
    }

    private static func number(_ digits: Substring) -> Int? {
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return Int(digits)
    }

    /// The number, cut after so many digits behind the point, without noughts at the end.
    static func text(_ units: Int, per scale: Int, digits: Int = digitsLimit) -> String {
        let magnitude = Int(clamping: units.magnitude)
        var rest = magnitude % scale
        var fraction = ""
        while rest > 0, fraction.utf8.count < digits {
            rest *= 10
            fraction += "\(rest / scale)"
            rest %= scale
        }
        while fraction.last == "0" { fraction.removeLast() }
        let text = "\(magnitude / scale)" + (fraction.isEmpty ? "" : "." + fraction)
        return units < 0 ? "-" + text : text
    }
}
