# SPDX-License-Identifier: Apache-2.0
"""What each command does with a page that has loaded. Each answers the bytes of its artifact."""
import binascii
import json
import time

from . import reading
from .errors import PageFailed, TimedOut
from .pipe import CallFailed

TALLEST = 16_384
LARGEST_VALUE = 8 << 20


def screenshot(page, options, deadline):
    """A PNG of the viewport, or of the whole page."""
    wait_for_fonts(page, deadline)
    params = {"format": "png", "optimizeForSpeed": True}
    further = {}
    if options.full_page:
        size = page.call("Page.getLayoutMetrics", deadline=deadline)["cssContentSize"]
        height = min(size["height"], TALLEST)
        if size["height"] > TALLEST:
            further["cut_off_at_height"] = TALLEST
        params["captureBeyondViewport"] = True
        params["clip"] = {"x": 0, "y": 0, "scale": 1,
                          "width": min(max(size["width"], 1), TALLEST), "height": max(height, 1)}
    data = page.call("Page.captureScreenshot", params, deadline)["data"]
    return binascii.a2b_base64(data), further


def pdf(page, options, deadline):
    """A PDF of the page, as it would be printed."""
    wait_for_fonts(page, deadline)
    params = {"printBackground": True, "preferCSSPageSize": True, "landscape": options.landscape}
    data = page.call("Page.printToPDF", params, deadline)["data"]
    return binascii.a2b_base64(data), {}


def text(page, options, deadline):
    """What a person would read."""
    return (reading.run(page, reading.TEXT, deadline=deadline) or "").encode(), {}


def html(page, options, deadline):
    """The document as it is now, after its scripts ran."""
    return reading.run(page, reading.HTML, deadline=deadline).encode("utf-8", "replace"), {}


def links(page, options, deadline):
    """Where the page's links lead."""
    found = reading.run(page, reading.LINKS, deadline=deadline)
    return (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode(), {"links": len(found)}


def evaluate(page, options, deadline):
    """The value of a JavaScript expression in the page's own world."""
    answer = page.call(
        "Runtime.evaluate",
        {"expression": options.script, "awaitPromise": True, "returnByValue": True,
         "userGesture": True},
        deadline,
    )
    value = reading.value_of(answer)
    data = (json.dumps(value) + "\n").encode()
    if len(data) > LARGEST_VALUE:
        raise PageFailed(f"the script's value is larger than {LARGEST_VALUE >> 20} MiB")
    shown = {"value": value} if len(data) <= 65_536 else {"value_bytes": len(data)}
    return data, shown


def archive(page, options, deadline):
    """What was asked for over the network, as an HTTP archive."""
    data = page.watcher.__self__.document(page.info())
    return (json.dumps(data, ensure_ascii=False) + "\n").encode("utf-8", "replace"), {
        "requests": len(data["log"]["entries"])}


def wait_for_fonts(page, deadline):
    """Gives fonts two seconds: a page without them is better than none."""
    try:
        reading.run(page, reading.FONTS, deadline=min(deadline, time.monotonic() + 2))
    except (TimedOut, CallFailed):
        pass


def wait_for_selector(page, selector, deadline):
    """Waits until an element is there."""
    try:
        reading.run(page, reading.SELECTOR, [selector], deadline)
    except TimedOut:
        raise TimedOut(f"nothing on the page matches \"{selector[:200]}\"") from None
