# SPDX-License-Identifier: Apache-2.0
"""The command line: one page, one action, one JSON line.

    browse screenshot URL [--full-page] [--width N] [--height N]
    browse pdf | text | html | links | har | download URL
    browse eval URL JAVASCRIPT

The artifact goes to /workspace/out. Exit status: 0 when it is there; 1 when the page failed; 2 when
what was asked for is refused. The line on standard output is there in all three cases.
"""
import argparse
import json
import os
import sys
import time

from . import actions
from .addresses import checked
from .chromium import Chromium
from .errors import PageFailed, Refused, TimedOut
from .page import Crashed, Page
from .pipe import CallFailed

OUT = "/workspace/out"
COMMANDS = {
    "screenshot": (actions.screenshot, "page.png", "a PNG of the page"),
    "pdf": (actions.pdf, "page.pdf", "a PDF of the page"),
    "text": (actions.text, "page.txt", "the page's readable text"),
    "html": (actions.html, "page.html", "the document after its scripts ran"),
    "links": (actions.links, "links.json", "where the page's links lead"),
    "eval": (actions.evaluate, "eval.json", "the value of a JavaScript expression"),
    "har": (actions.archive, "page.har", "an HTTP archive of what the page asked for"),
    "download": (None, None, "the file at the address"),
}


def parser():
    """The command line's grammar."""
    whole = argparse.ArgumentParser(prog="browse", description="Looks at one web page.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, _, summary) in COMMANDS.items():
        one = commands.add_parser(name, help=summary, description=f"Leaves {summary} in {OUT}.")
        one.add_argument("address", metavar="URL", help="http, https, data, or a file of /workspace")
        if name == "eval":
            one.add_argument("script", metavar="JAVASCRIPT")
        add_options(one, name)
    return whole


def add_options(one, name):
    one.add_argument("--timeout", type=between(0.1, 3600), default=30.0, metavar="SECONDS")
    one.add_argument("--width", type=whole(1, 8192), default=1280, metavar="PIXELS")
    one.add_argument("--height", type=whole(1, 8192), default=720, metavar="PIXELS")
    one.add_argument("--out", type=plain_name, metavar="NAME", help="the artifact's file name")
    one.add_argument("--follow", action="store_true",
                     help="console lines and navigation on standard error, as they happen")
    if name == "download":
        one.add_argument("--max-bytes", type=whole(1, 1 << 40), default=100_000_000, metavar="N")
    else:
        one.add_argument("--wait-for", metavar="SELECTOR", help="wait until an element is there")
    if name == "screenshot":
        one.add_argument("--full-page", action="store_true")
    if name == "pdf":
        one.add_argument("--landscape", action="store_true")


def whole(least, most):
    def read(text):
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return number
    return read


def between(least, most):
    def read(text):
        number = float(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return number
    return read


def plain_name(text):
    if "/" in text or text in ("", ".", "..") or len(os.fsencode(text)) > 200:
        raise argparse.ArgumentTypeError(f"\"{text[:50]}\" is no plain file name")
    return text


def main(arguments):
    """Does what the command line says; answers the exit status."""
    options = parser().parse_args(arguments)
    clock = Clock()
    line = {"command": options.command, "url": options.address[:2048], "ok": False, "error": None,
            "title": None, "final_url": None, "status": None, "artifacts": []}
    exit_status = 1
    try:
        options.address = checked(options.address)
        look(options, line, clock)
        line["ok"] = True
        exit_status = 0
    except Refused as error:
        line["error"] = str(error)
        exit_status = 2
    except PageFailed as error:
        line["error"] = str(error)
    except OSError as error:
        line["error"] = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    line["timings_ms"] = clock.times()
    print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)
    if line["error"]:
        print("browse: " + line["error"], file=sys.stderr)
    return exit_status


def look(options, line, clock):
    """Opens the page, does the command, and fills in the line, also when it fails."""
    os.makedirs(OUT, exist_ok=True)
    browser = Chromium()
    clock.passed("launch")
    try:
        recorder = None
        if options.command == "har":
            from .archive import Recorder
            recorder = Recorder(browser.version)
        page = Page(browser, options.width, options.height, options.follow,
                    recorder.watch if recorder else None)
        try:
            act(page, options, line, clock)
        finally:
            describe(page, line)
    finally:
        browser.close()
        clock.passed("close")


def act(page, options, line, clock):
    deadline = time.monotonic() + options.timeout
    if options.command == "download":
        from .fetch import download
        name, further = download(page, options, OUT, deadline)
        line["artifacts"].append(name)
        line.update(further)
        clock.passed("download")
        return
    action, name, _ = COMMANDS[options.command]
    name = options.out or name
    failure = None
    try:
        page.load(options.address, deadline, options.timeout)
        if options.wait_for:
            actions.wait_for_selector(page, options.wait_for, deadline)
    except TimedOut as error:
        if page.loader is None:
            raise
        # What is there is worth something: a page may wait for one picture for ever.
        failure = error
        deadline = time.monotonic() + 3
    clock.passed("load")
    try:
        data, further = action(page, options, deadline)
    except CallFailed as error:
        raise failure or error from None
    except TimedOut as error:
        raise failure or TimedOut(f"the page did not let itself be read: {error}") from None
    with open(os.path.join(OUT, name), "wb") as file:
        file.write(data)
    clock.passed(options.command)
    line["artifacts"].append(name)
    line.update(further)
    if failure:
        raise failure


def describe(page, line):
    """What is known of the page, whatever became of it."""
    try:
        line["title"], url = page.info()
        line["final_url"] = line.get("final_url") or url[:2048]
    except PageFailed:
        pass
    line["status"] = page.status
    line["console_errors"] = page.console_errors
    line["blocked_requests"] = page.blocked
    counts = {"console_lines": page.console_lines, "blocked_request_count": page.blocked_count,
              "windows_closed": page.windows, "dialogs_dismissed": page.dialogs,
              "downloads_refused": page.downloads}
    line.update({name: count for name, count in counts.items() if count})
    if isinstance(page.failure, Crashed):
        line["crashed"] = True


class Clock:
    """The time since the start of the program, stage by stage."""

    def __init__(self):
        self.started = self.last = time.monotonic()
        self.stages = {}

    def passed(self, stage):
        now = time.monotonic()
        self.stages[stage] = round((now - self.last) * 1000, 1)
        self.last = now

    def times(self):
        return {**self.stages, "total": round((time.monotonic() - self.started) * 1000, 1)}
