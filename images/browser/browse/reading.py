# SPDX-License-Identifier: Apache-2.0
"""What is run inside of a page to read it.

It runs in a world of its own: the page's document is there, and nothing that its scripts have put
in the place of JavaScript's own functions.
"""

from .errors import PageFailed
from .pipe import CallFailed

TEXT = """() => {
  const body = document.body;
  if (!body) return document.documentElement ? document.documentElement.textContent : "";
  const all = body.innerText || "";
  // The part that is the page's own, when most of the page is in it.
  for (const name of ["main", "[role=main]", "article"]) {
    const found = document.querySelectorAll(name);
    if (found.length !== 1) continue;
    const text = found[0].innerText || "";
    if (text.length * 5 > all.length * 2) return text;
  }
  return all;
}"""

HTML = """() => {
  const type = document.doctype;
  const head = type ? new XMLSerializer().serializeToString(type) + "\\n" : "";
  return head + (document.documentElement ? document.documentElement.outerHTML : "");
}"""

LINKS = """() => Array.from(document.querySelectorAll("a[href], area[href]")).slice(0, 10000)
  .map(link => ({
    url: String(link.href).slice(0, 4096),
    text: (link.innerText || link.getAttribute("alt") || "").trim().replace(/\\s+/g, " ")
      .slice(0, 500),
  }))"""

FONTS = "() => document.fonts.ready.then(() => true)"

SELECTOR = """(selector) => new Promise((resolve, reject) => {
  const look = () => {
    try { if (!document.querySelector(selector)) return false; }
    catch (error) { reject(error); return true; }
    resolve(true);
    return true;
  };
  if (look()) return;
  const observer = new MutationObserver(() => { if (look()) observer.disconnect(); });
  observer.observe(document, {subtree: true, childList: true, attributes: true});
})"""


def run(page, function, arguments=(), deadline=None):
    """Calls a JavaScript function in the page, in a world of its own; answers its value.

    A page that goes on to another document meanwhile takes that world with it: then the next one
    is read, a few times.
    """
    for attempt in range(5):
        try:
            return run_once(page, function, arguments, deadline)
        except CallFailed:
            if attempt == 4:
                raise


def run_once(page, function, arguments, deadline):
    frame = page.target
    world = page.call("Page.createIsolatedWorld", {"frameId": frame, "worldName": "browse"},
                      deadline)["executionContextId"]
    answer = page.call(
        "Runtime.callFunctionOn",
        {
            "functionDeclaration": function,
            "executionContextId": world,
            "arguments": [{"value": value} for value in arguments],
            "awaitPromise": True,
            "returnByValue": True,
        },
        deadline,
    )
    return value_of(answer)


def value_of(answer):
    """The value of an evaluation; what was thrown in the page is the page's failure."""
    details = answer.get("exceptionDetails")
    if details:
        text = details.get("exception", {}).get("description") or details.get("text", "")
        raise PageFailed("the script threw: " + text[:1000])
    result = answer.get("result", {})
    return result.get("value", result.get("unserializableValue"))
