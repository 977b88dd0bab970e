// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import JSON

/// A time of the daemon's.
struct Moment {
    let date: Date

    /// nil when there is none, or it is no time.
    init?(_ value: JSONValue?) {
        guard var text = value?.text else { return nil }
        // PostgreSQL writes as many digits of a second as there are.
        if let point = text.firstIndex(of: ".") {
            let end = text[point...].dropFirst().firstIndex { !$0.isNumber } ?? text.endIndex
            text.removeSubrange(point..<end)
        }
        let style = Date.ISO8601FormatStyle(timeZoneSeparator: .colon)
        // What the daemon writes is a time; anything else is shown as none.
        guard let date = try? style.parse(text) else { return nil }
        self.date = date
    }

    /// Since then, by this machine's clock; never less than 0.
    var secondsAgo: Double { max(0, -date.timeIntervalSinceNow) }

    /// In UTC, to the second.
    var text: String { date.formatted(.iso8601) }
}

/// How long something is, for a person.
enum Span {
    /// In one unit, the largest that fits.
    static func short(_ seconds: Double) -> String {
        switch seconds {
        case ..<60: "\(Int(seconds))s"
        case ..<3600: "\(Int(seconds / 60))m"
        case ..<86_400: "\(Int(seconds / 3600))h"
        default: "\(Int(seconds / 86_400))d"
        }
    }

    /// Milliseconds as seconds, without noughts at the end.
    static func seconds(milliseconds: Int) -> String {
        FixedPoint.text(milliseconds, per: 1000) + " s"
    }
}
