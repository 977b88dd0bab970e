# SPDX-License-Identifier: Apache-2.0
"""Downloads: one address, as a file, up to a number of bytes.

Chromium opens the address; its answer is held before anything is made of it, and read as a stream,
so that no more than one piece of it is in memory and a body without end ends at the cap.
"""
import binascii
import errno
import os
import re
from urllib.parse import unquote, urlsplit

from .errors import PageFailed, Refused, TimedOut

PIECE = 1 << 20


class Download:
    """The answer that is waited for."""

    def __init__(self, page):
        self.page = page
        self.held = None
        self.error = None
        page.handlers = {**page.handlers, "Fetch.requestPaused": self.on_paused}

    def on_paused(self, page, params, session):
        """Lets redirects go on, and holds the answer behind them."""
        status = params.get("responseStatusCode")
        number = {"requestId": params["requestId"]}
        is_redirect = status in (301, 302, 303, 307, 308)
        if params.get("responseErrorReason"):
            self.error = params["responseErrorReason"]
            page.pipe.send("Fetch.continueRequest", number, session)
        elif status is None or is_redirect or params.get("frameId") != page.target or self.held:
            page.pipe.send("Fetch.continueRequest", number, session)
        else:
            self.held = params

    def open(self, url, deadline):
        """Opens the address; answers the held answer's parameters."""
        page = self.page
        page.send("Fetch.enable", {"patterns": [
            {"urlPattern": "*", "resourceType": "Document", "requestStage": "Response"}]})
        page.send("Page.navigate", {"url": url})
        try:
            page.pump(lambda: self.held or self.error or page.blocked, deadline)
        except TimedOut:
            raise TimedOut("no answer came in time") from None
        if not self.held:
            reason = self.error or page.blocked[0]["reason"]
            raise PageFailed(page.load_error(reason))
        return self.held

    def save(self, path, most, deadline):
        """Writes the body into a new file; answers its size."""
        page, number = self.page, {"requestId": self.held["requestId"]}
        stream = page.call("Fetch.takeResponseBodyAsStream", number, deadline)["stream"]
        size = 0
        with open(path, "xb") as file:
            while True:
                piece = page.call("IO.read", {"handle": stream, "size": PIECE}, deadline)
                data = piece["data"]
                data = binascii.a2b_base64(data) if piece.get("base64Encoded") else data.encode()
                size += len(data)
                if size > most:
                    raise PageFailed(f"the download is larger than {most} bytes: it was ended")
                try:
                    file.write(data)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    raise PageFailed("the download does not fit into the workspace") from None
                if piece["eof"]:
                    return size


def download(page, options, directory, deadline):
    """The file at the address; answers its name, and what to say of it."""
    if urlsplit(options.address).scheme.lower() not in ("http", "https"):
        raise Refused("only http and https addresses are downloaded")
    running = Download(page)
    held = running.open(options.address, deadline)
    page.status = held["responseStatusCode"]
    found = {pair["name"].lower(): pair["value"] for pair in held.get("responseHeaders", [])}
    url = held["request"]["url"]
    if page.status >= 400:
        raise PageFailed(f"the server answered {page.status}")
    name = options.out or file_name(found.get("content-disposition", ""), url)
    path = os.path.join(directory, name)
    try:
        size = running.save(path, options.max_bytes, deadline)
    except TimedOut:
        os.unlink(path)
        raise TimedOut("the download did not end in time") from None
    except PageFailed:
        os.unlink(path)
        raise
    return name, {"bytes": size, "content_type": found.get("content-type", ""), "final_url": url}


def file_name(disposition, url):
    """A plain file name, from what the server says, or the address."""
    found = re.search(r"filename\*\s*=\s*[\w-]*'[^']*'([^;]+)", disposition)
    name = unquote(found[1]) if found else ""
    if not name:
        found = re.search(r'filename\s*=\s*("([^"]*)"|[^;]+)', disposition)
        name = (found[2] if found[2] is not None else found[1]) if found else ""
    name = name or unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(letter for letter in name if letter.isprintable()).strip(" .")
    return name[:120] or "download"
