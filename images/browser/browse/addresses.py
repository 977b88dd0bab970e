# SPDX-License-Identifier: Apache-2.0
"""Which addresses may be opened: http, https, data, about:blank, and files of the workspace."""
import os
from urllib.parse import unquote, urlsplit

from .errors import Refused

WORKSPACE = "/workspace"
LONGEST = 2 << 20
KNOWN = "http, https, data, about:blank, and file for what is in /workspace"


def checked(text):
    """The address to open for what the caller wrote.

    A path of a file that is there means that file. Everything else must have a scheme.
    """
    if len(text) > LONGEST:
        raise Refused(f"the address is longer than {LONGEST >> 20} MiB")
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
        raise Refused("the address has a control character in it")
    if ":" not in text.split("/", 1)[0]:
        if not os.path.exists(text):
            raise Refused(f"\"{text[:200]}\" is no address and no file: write one such as https://…")
        return file_url(os.path.realpath(text))
    scheme, _, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme in ("http", "https"):
        if not web_host(text):
            raise Refused(f"\"{text[:200]}\" names no host")
        return text
    if scheme == "data":
        return text
    if scheme == "about":
        if rest != "blank":
            raise Refused("of about: only about:blank is opened")
        return text
    if scheme == "file":
        return file_url(file_path(text))
    raise Refused(f"\"{scheme[:40]}:\" is not opened: known are {KNOWN}")


def web_host(text):
    """The host of an http or https address; nothing when there is none, or none to parse."""
    try:
        return urlsplit(text).hostname
    except ValueError:
        return None


def file_path(url):
    """The path of a file: address, with all links followed."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise Refused("a file: address must not name a host")
    return os.path.realpath(unquote(parts.path))


def is_ours(path):
    """Whether a path without links is a file of the workspace."""
    return path.startswith(WORKSPACE + "/")


def file_url(path):
    """The address of a file of the workspace; other files are refused."""
    if not is_ours(path):
        raise Refused(f"\"{path[:200]}\" is not in {WORKSPACE}: other files are not opened")
    if not os.path.isfile(path):
        raise Refused(f"\"{path[:200]}\" is no file")
    return "file://" + "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "/._-~") else
        "".join(f"%{byte:02X}" for byte in os.fsencode(letter))
        for letter in path
    )
