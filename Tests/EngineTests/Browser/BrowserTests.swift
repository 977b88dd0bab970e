// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Real pages in real Chromium, driven by Playwright and by `browse`.
@Suite("Browser jobs", .daemon, .browser, .beside, .timeLimit(Host.minutes(10)))
struct BrowserTests {
    @Test("scripts as Playwright's users write them work on the site, with nothing changed")
    func flows() throws {
        let api = try Host.daemon()
        let report = try api.run(try Browser.besideSite(["python3", "flows.py"]))
        for line in report.lines where line["result"]?.text != "ok" {
            Issue.record("\(line["flow"]?.text ?? ""): \(line["result"]?.text ?? "")")
        }
        #expect(report.lines.count == 12)
        #expect(report.verdict == "ok", "\(report.json)")
        #expect(report.isClean)
        for name in ["article.pdf", "canvas.png", "report.csv", "site.har", "trace.zip"] {
            #expect(report.digest(of: name) != nil, "\(name)")
        }
        let picture = try api.artifact(try #require(report.digest(of: "canvas.png")))
        #expect(try Browser.difference(of: picture, from: "canvas.png") < 0.005)
    }

    @Test("a screenshot is the stored picture, within a tolerance that a missing part exceeds")
    func screenshot() throws {
        let api = try Host.daemon()
        let words = ["--width", "480", "--height", "280"]
        func picture(_ page: String) throws -> [UInt8] {
            let run = try Browser.besideSite(
                ["browse", "screenshot", Browser.site + page] + words
            )
            let report = try api.run(run)
            #expect(report.verdict == "ok", "\(report.json)")
            return try api.artifact(try #require(report.digest(of: "page.png")))
        }
        #expect(try Browser.difference(of: picture("/canvas.html"), from: "canvas.png") < 0.005)
        // The detector sees another page.
        #expect(try Browser.difference(of: picture("/form.html"), from: "canvas.png") > 0.05)
    }

    @Test("browse says what it found in one line, and leaves the artifact")
    func line() throws {
        let api = try Host.daemon()
        let report = try api.run(try Browser.browse("text", Browser.site + "/article.html"))
        #expect(report.verdict == "ok", "\(report.json)")
        let line = try #require(report.lines.first)
        #expect(report.lines.count == 1)
        #expect(line["title"]?.text == "Article")
        #expect(line["status"]?.int == 200)
        #expect(line["final_url"]?.text == Browser.site + "/article.html")
        #expect(line["artifacts"]?.elements.compactMap(\.text) == ["page.txt"])
        let errors = (line["console_errors"]?.elements ?? []).compactMap(\.text)
        #expect(errors.contains("a mistake"))
        #expect(errors.contains { $0.contains("undefinedFunction is not defined") })
        let blocked = line["blocked_requests"]?.elements.first
        #expect(blocked?["url"]?.text == "http://198.51.100.7/pixel.png")
        #expect(try #require(line["timings_ms"]?["total"]?.double) > 0)
        let text = try api.artifact(try #require(report.digest(of: "page.txt")))
        let words = String(decoding: text, as: UTF8.self)
        #expect(words.hasPrefix("A title"), "\(words)")
        #expect(!words.contains("Small print"))
    }

    @Test(
        "each command leaves its artifact",
        arguments: [
            ("pdf", [], "page.pdf", "%PDF-"), ("html", [], "page.html", "<!DOCTYPE html>"),
            ("links", [], "links.json", "["), ("har", [], "page.har", "{\"log\""),
            ("eval", ["1 + 1"], "eval.json", "2\n"),
            ("screenshot", ["--full-page"], "page.png", "\u{89}PNG"),
        ]
    )
    func commands(_ command: String, _ words: [String], _ artifact: String, _ begin: String) throws
    {
        let api = try Host.daemon()
        let page = Browser.site + "/article.html"
        let report = try api.run(try Browser.besideSite(["browse", command, page] + words))
        #expect(report.verdict == "ok", "\(report.json)")
        let bytes = try api.artifact(try #require(report.digest(of: artifact)))
        // PNG begins with a byte that is no UTF-8.
        let expected = begin.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        #expect(bytes.starts(with: expected), "\(bytes.prefix(40))")
    }

    @Test("a download is saved under its own name, also behind a redirect")
    func download() throws {
        let api = try Host.daemon()
        let report = try api.run(try Browser.browse("download", Browser.site + "/moved"))
        #expect(report.verdict == "ok", "\(report.json)")
        let digest = try #require(report.digest(of: "report 2025.csv"))
        #expect(try api.artifact(digest) == Array("year,sum\n2025,42\n".utf8))
    }

    @Test("--follow tells of navigation and the console while they happen")
    func follow() throws {
        let report = try Host.daemon().run(
            try Browser.browse("text", Browser.site + "/article.html", "--follow")
        )
        let errors = String(decoding: report.stderr, as: UTF8.self)
        #expect(errors.contains("navigated to \(Browser.site)/article.html\n"), "\(errors)")
        #expect(errors.contains("console log: hello\n"))
        #expect(errors.contains("console error: a mistake\n"))
    }

    @Test(
        "other addresses are refused, in words",
        arguments: [
            ("file:///etc/passwd", "is not in /workspace"), ("/etc/passwd", "is not in /workspace"),
            ("file:///workspace/../etc/passwd", "is not in /workspace"),
            ("file:///workspace/link", "is not in /workspace"),
            ("file://host/workspace/form.html", "must not name a host"),
            ("chrome://version", "\"chrome:\" is not opened"),
            ("javascript:alert(1)", "\"javascript:\" is not opened"),
            ("view-source:http://x/", "\"view-source:\" is not opened"),
            ("ftp://x/", "\"ftp:\" is not opened"), ("about:config", "only about:blank"),
            ("http:///x", "names no host"), ("http://[::1", "names no host"),
            ("example.com", "is no address and no file"), ("", "is no address and no file"),
        ]
    )
    func refused(_ address: String, _ words: String) throws {
        let report = try Host.daemon().run(
            Run(
                ["sh", "-c", "ln -s /etc/passwd link; exec browse text \"$1\"", "sh", address],
                profile: "browser",
                ["files": [["path": "form.html", "text": "<p>A form"]]]
            )
        )
        #expect(report.exitCode == 2, "\(report.json)")
        let error = report.lines.first?["error"]?.text ?? ""
        #expect(error.contains(words), "\(error)")
    }
}
