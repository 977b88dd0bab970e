# SPDX-License-Identifier: Apache-2.0
"""One page: loading it, and what happens on it meanwhile.

A page is hostile. Whatever it does without end is counted and bounded here: dialogs are dismissed,
windows closed, downloads refused, console lines and requests kept up to a number.
"""
import sys
import time

from .addresses import file_path, is_ours
from .errors import PageFailed, Refused, TimedOut
from .pipe import CallFailed

MOST_LINES = 100
MOST_WINDOWS = 20
MOST_DIALOGS = 100
LONGEST_TEXT = 1000

HINTS = {
    "net::ERR_INTERNET_DISCONNECTED": "there is no network here",
    "net::ERR_NAME_NOT_RESOLVED": "the name is not known: there is no network here, or no such host",
    "net::ERR_ADDRESS_UNREACHABLE": "there is no network here",
    "net::ERR_CONNECTION_REFUSED": "nobody listens there",
}


class Crashed(PageFailed):
    """The page's renderer is gone."""


class Page:
    """A page of a browser, from its target to its last event."""

    def __init__(self, browser, width, height, follow=False, watcher=None):
        self.pipe = browser.pipe
        self.pipe.handler = self.on_event
        self.follow = follow
        self.watcher = watcher
        self.console_errors = []
        self.console_lines = 0
        self.blocked = []
        self.blocked_count = 0
        self.windows = 0
        self.dialogs = 0
        self.downloads = 0
        self.failure = None
        self.loaded = False
        self.status = None
        self.loader = None
        self.urls = {}
        deadline = time.monotonic() + 20
        self.target = None
        self.session = None
        # Whatever page there is to be waits until it is known here, the one that is asked for too.
        self.attach_to_all(None)
        self.target = self.pipe.call(
            "Target.createTarget", {"url": "about:blank", "width": width, "height": height},
            deadline=deadline,
        )["targetId"]
        self.pipe.pump(lambda: self.session, deadline)
        self.pipe.send("Browser.setDownloadBehavior", {"behavior": "deny", "eventsEnabled": True})
        self.watch(self.session)
        self.send("Runtime.runIfWaitingForDebugger")
        # Answers come in the order of calls: with this one the renderer has taken all before it,
        # and Chromium knows what to tell the renderer of the page that is opened next.
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
                  deadline)

    def watch(self, session):
        """Asks for the events of a page or of one of its frames in another process."""
        for domain in ("Page", "Runtime", "Log", "Network", "Inspector"):
            self.pipe.send(domain + ".enable", session=session)
        # Files: a page of the workspace may load others of it, and nothing else.
        self.pipe.send("Fetch.enable", {"patterns": [{"urlPattern": "file://*"}]}, session)
        self.attach_to_all(session)

    def attach_to_all(self, session):
        self.pipe.send(
            "Target.setAutoAttach",
            {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}, session)

    def send(self, method, params=None):
        self.pipe.send(method, params, self.session)

    def call(self, method, params=None, deadline=None):
        """A call to the page; fails at once when the page is gone."""
        number = self.pipe.send(method, params, self.session)
        self.pipe.waited.add(number)
        self.pump(lambda: number in self.pipe.answers, deadline)
        self.pipe.waited.discard(number)
        answer = self.pipe.answers.pop(number)
        if "error" in answer:
            raise CallFailed(f"{method}: {answer['error'].get('message', 'no reason given')}")
        return answer.get("result", {})

    def pump(self, until, deadline):
        """Takes events until `until()` holds, or the page fails."""
        self.pipe.pump(lambda: self.failure or until(), deadline)
        if self.failure and not until():
            raise self.failure

    def load(self, url, deadline, seconds):
        """Opens the address and waits for the load event."""
        self.loaded = False
        try:
            answer = self.call("Page.navigate", {"url": url}, deadline)
            error = answer.get("errorText")
            if error:
                raise PageFailed(self.load_error(error))
            self.loader = answer.get("loaderId")
            self.pump(lambda: self.loaded, deadline)
        except TimedOut:
            raise TimedOut(f"the page did not finish loading within {seconds:g} s") from None

    def load_error(self, error):
        if error == "net::ERR_ABORTED":
            self.wait_for_download()
        if error == "net::ERR_ABORTED" and self.downloads:
            return "the address is a download, which is refused here: use `browse download`"
        return f"the page cannot be loaded: {error}" + (
            f" ({HINTS[error]})" if error in HINTS else "")

    def wait_for_download(self):
        """An aborted load may be a download; the word of it comes after."""
        try:
            self.pump(lambda: self.downloads, time.monotonic() + 1)
        except PageFailed:
            return

    def info(self):
        """Title and address, as the browser knows them: the page is not asked."""
        answer = self.pipe.call("Target.getTargetInfo", {"targetId": self.target},
                                deadline=time.monotonic() + 5)["targetInfo"]
        return answer["title"][:LONGEST_TEXT], answer["url"]

    # Events.

    def on_event(self, method, params, session):
        if self.watcher:
            self.watcher(method, params)
        handler = self.handlers.get(method)
        if handler:
            handler(self, params, session)

    def on_load(self, params, session):
        if session == self.session:
            self.loaded = True

    def on_stopped(self, params, session):
        # The browser's own word, for a renderer that was gone before it could say so.
        if session == self.session and params["frameId"] == self.target and self.loader:
            self.loaded = True

    def on_navigated(self, params, session):
        frame = params["frame"]
        if session == self.session and "parentId" not in frame:
            self.loader = frame.get("loaderId")
            self.say("navigated to " + frame["url"])

    def on_crash(self, params, session):
        if session == self.session:
            self.fail(Crashed("the page's renderer crashed"))

    def on_dialog(self, params, session):
        self.dialogs += 1
        self.say(f"dismissed a dialog ({params.get('type')}): {params.get('message', '')}")
        if self.dialogs > MOST_DIALOGS:
            self.fail(PageFailed(f"the page opened more than {MOST_DIALOGS} dialogs"))
        self.pipe.send("Page.handleJavaScriptDialog", {"accept": False}, session)

    def on_attached(self, params, session):
        target, child = params["targetInfo"], params["sessionId"]
        if target["type"] == "page" and self.session is None:
            self.session = child
            return
        if target["type"] == "page":
            self.windows += 1
            self.say("closed a window that the page opened: " + target.get("url", ""))
            # Whoever opened it waits for it to run, and it cannot be closed before.
            self.pipe.send("Runtime.runIfWaitingForDebugger", session=child)
            self.pipe.send("Target.closeTarget", {"targetId": target["targetId"]})
            if self.windows > MOST_WINDOWS:
                self.fail(PageFailed(f"the page opened more than {MOST_WINDOWS} windows"))
            return
        if target["type"] == "iframe":
            self.watch(child)
        self.pipe.send("Runtime.runIfWaitingForDebugger", session=child)

    def on_download(self, params, session):
        self.downloads += 1
        self.say("refused a download: " + params.get("url", ""))

    def on_paused(self, params, session):
        """A request for a file: only those of the workspace go on."""
        number = {"requestId": params["requestId"]}
        try:
            allowed = is_ours(file_path(params["request"]["url"]))
        except (Refused, ValueError):
            allowed = False
        if allowed:
            self.pipe.send("Fetch.continueRequest", number, session)
        else:
            self.pipe.send("Fetch.failRequest", {**number, "errorReason": "AccessDenied"}, session)

    def on_console(self, params, session):
        text = " ".join(str(part.get("value", part.get("description", part["type"])))
                        for part in params.get("args", [])[:20])
        self.on_line(params.get("type", "log"), text)

    def on_log(self, params, session):
        entry = params["entry"]
        self.on_line(entry["level"], entry["text"] + " " + entry.get("url", ""))

    def on_exception(self, params, session):
        details = params["exceptionDetails"]
        text = details.get("exception", {}).get("description") or details.get("text", "")
        self.on_line("error", text)

    def on_line(self, level, text):
        self.console_lines += 1
        self.say(f"console {level}: {text}")
        if level in ("error", "assert") and len(self.console_errors) < MOST_LINES:
            self.console_errors.append(text.strip()[:LONGEST_TEXT])

    def on_request(self, params, session):
        if len(self.urls) < 10_000:
            self.urls[params["requestId"]] = params["request"]["url"]

    def on_response(self, params, session):
        if params.get("type") == "Document" and params["requestId"] == params.get("loaderId"):
            if session == self.session and self.is_main(params):
                self.status = params["response"]["status"]

    def is_main(self, params):
        return params.get("frameId") == self.target

    def on_failed(self, params, session):
        url = self.urls.get(params["requestId"], "")
        reason = params.get("blockedReason") or params.get("errorText", "")
        if reason == "net::ERR_ABORTED":
            return
        self.blocked_count += 1
        if len(self.blocked) < MOST_LINES:
            self.blocked.append({"url": url[:LONGEST_TEXT], "reason": reason})

    def fail(self, failure):
        self.failure = self.failure or failure

    def say(self, line):
        if self.follow:
            shown = "".join(letter if letter.isprintable() else " " for letter in line[:2000])
            print(shown, file=sys.stderr, flush=True)

    handlers = {
        "Page.loadEventFired": on_load,
        "Page.frameStoppedLoading": on_stopped,
        "Page.frameNavigated": on_navigated,
        "Page.javascriptDialogOpening": on_dialog,
        "Inspector.targetCrashed": on_crash,
        "Target.attachedToTarget": on_attached,
        "Browser.downloadWillBegin": on_download,
        "Fetch.requestPaused": on_paused,
        "Runtime.consoleAPICalled": on_console,
        "Runtime.exceptionThrown": on_exception,
        "Log.entryAdded": on_log,
        "Network.requestWillBeSent": on_request,
        "Network.responseReceived": on_response,
        "Network.loadingFailed": on_failed,
    }
