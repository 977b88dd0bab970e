// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A page that does what it should not, and what must be said of it.
struct HostilePage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The words of `browse`; SITE stands for the site.
    let words: String
    var limits: [String: JSON] = [:]
    var verdict = "exit"
    var exitCode: Int? = 1
    /// A part of the error, when it is browse that ends the run.
    var error: String?
    /// Keys of the line that must be there, with these numbers at least.
    var counts: [String: Int] = [:]
    /// The artifact that is left all the same.
    var artifact: String?

    static let all: [HostilePage] = [
        HostilePage(
            testDescription: "a server that never answers",
            words: "screenshot SITE/never --timeout 1",
            error: "did not finish loading within 1 s"
        ),
        HostilePage(
            testDescription: "a page that waits for one picture for ever is shown without it",
            words: "screenshot SITE/picture.html --timeout 10",
            error: "did not finish loading within 10 s",
            artifact: "page.png"
        ),
        HostilePage(
            testDescription: "a script without end",
            words: "text SITE/loop.html --timeout 2",
            error: "did not finish loading within 2 s"
        ),
        HostilePage(
            testDescription: "a page that loads itself again and again",
            words: "text SITE/reload.html --timeout 3",
            error: "did not finish loading within 3 s"
        ),
        HostilePage(
            testDescription: "dialogs without end",
            words: "text SITE/dialogs.html",
            error: "opened more than 100 dialogs",
            counts: ["dialogs_dismissed": 100]
        ),
        HostilePage(
            testDescription: "a hundred windows",
            words: "text SITE/windows.html",
            error: "opened more than 20 windows",
            counts: ["windows_closed": 20]
        ),
        HostilePage(
            testDescription: "a page that takes all memory ends the run",
            words: "screenshot SITE/leak.html --timeout 60",
            limits: ["memory_bytes": 536_870_912],
            verdict: "oom",
            exitCode: nil
        ),
        HostilePage(
            testDescription: "a download without end",
            words: "download SITE/endless --max-bytes 5000000",
            error: "larger than 5000000 bytes"
        ),
        HostilePage(
            testDescription: "a download larger than the workspace",
            words: "download SITE/endless --max-bytes 500000000",
            limits: ["workspace_bytes": 67_108_864],
            error: "does not fit into the workspace"
        ),
        HostilePage(
            testDescription: "an address that turns out to be a download",
            words: "screenshot SITE/report.csv",
            error: "use `browse download`",
            counts: ["downloads_refused": 1]
        ),
        HostilePage(
            testDescription: "a page that starts downloads is read, and nothing of them is kept",
            words: "text SITE/downloads.html",
            verdict: "ok",
            exitCode: 0,
            artifact: "page.txt"
        ),
        HostilePage(
            testDescription: "files outside of the workspace, asked for by a page in it",
            words: "text file:///workspace/files.html",
            verdict: "ok",
            exitCode: 0,
            counts: ["blocked_request_count": 2],
            artifact: "page.txt"
        ),
        HostilePage(
            testDescription: "a redirect to a file",
            words: "text SITE/tofile",
            error: "net::ERR_UNSAFE_REDIRECT"
        ),
        HostilePage(
            testDescription: "redirects in a circle",
            words: "text SITE/around",
            error: "net::ERR_TOO_MANY_REDIRECTS"
        ),
        HostilePage(
            testDescription: "megabytes of console lines are counted, and a hundred kept",
            words: "text SITE/console.html",
            verdict: "ok",
            exitCode: 0,
            counts: ["console_lines": 5000],
            artifact: "page.txt"
        ),
        HostilePage(
            testDescription: "a document twenty thousand levels deep",
            words: "text SITE/deep.html",
            verdict: "ok",
            exitCode: 0,
            artifact: "page.txt"
        ),
        HostilePage(
            testDescription: "a page ten thousand metres tall is cut off, and that is said",
            words: "screenshot SITE/tall.html --full-page",
            verdict: "ok",
            exitCode: 0,
            counts: ["cut_off_at_height": 16384],
            artifact: "page.png"
        ),
        HostilePage(
            testDescription: "a page that does not want to be left",
            words: "screenshot SITE/unload.html",
            verdict: "ok",
            exitCode: 0,
            artifact: "page.png"
        ),
        HostilePage(
            testDescription: "a host that cannot be reached",
            words: "text http://example.com/",
            error: "there is no network here"
        ),
    ]
}

@Suite("Hostile pages", .daemon, .browser, .beside, .timeLimit(Host.minutes(10)))
struct HostilePageTests {
    @Test("each ends with its verdict and its reason", arguments: HostilePage.all)
    func ending(_ page: HostilePage) throws {
        let words = page.words.replacing("SITE", with: Browser.site).split(separator: " ")
        let run = try Browser.besideSite(["browse"] + words.map(String.init))
        let report = try Host.daemon().run(page.limits.isEmpty ? run : run.limited(page.limits))
        #expect(report.verdict == page.verdict, "\(report.json)")
        #expect(report.exitCode == page.exitCode)
        #expect(report.isClean)
        #expect(report.artifacts.count <= 1)
        if let artifact = page.artifact { #expect(report.digest(of: artifact) != nil) }
        guard page.exitCode != nil else { return }
        let line = try #require(report.lines.first)
        #expect(report.lines.count == 1)
        let error = line["error"]?.text ?? "none"
        #expect(error.contains(page.error ?? "none"), "\(error)")
        for (key, least) in page.counts {
            #expect((line[key]?.int ?? 0) >= least, "\(key) is \(line[key] ?? .null)")
        }
        #expect((line["console_errors"]?.elements.count ?? 0) <= 100)
    }

    @Test("a page's renderer that dies is told of, at once")
    func crash() throws {
        let script = """
            browse screenshot "$1" &
            until pgrep -f '[t]ype=renderer' > /dev/null; do sleep 0.1; done
            sleep 1; pkill -KILL -f '[t]ype=renderer'; wait $!
            """
        let run = try Browser.besideSite(["sh", "-c", script, "sh", Browser.site + "/picture.html"])
        let report = try Host.daemon().run(run)
        #expect(report.exitCode == 1, "\(report.json)")
        #expect(report.lines.first?["error"]?.text == "the page's renderer crashed")
        #expect(try #require(report.usage("wall_ms")) < 20_000)
    }

    @Test("a page that lies about its text is not believed")
    func liar() throws {
        let api = try Host.daemon()
        let report = try api.run(try Browser.browse("text", Browser.site + "/liar.html"))
        let text = try api.artifact(try #require(report.digest(of: "page.txt")))
        #expect(String(decoding: text, as: UTF8.self) == "True text")
    }
}
