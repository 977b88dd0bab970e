# SPDX-License-Identifier: Apache-2.0
"""What holds the renderer of a page: python3 jail.py [CHROMIUM [SWITCH...]]; one JSON line each."""
import glob
import json
import os
import sys

from playwright.sync_api import sync_playwright

KINDS = ("user", "pid", "net")


def status(directory):
    with open(directory + "/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def namespaces(directory):
    return {kind: os.readlink(f"{directory}/ns/{kind}") for kind in KINDS}


def filters(directory):
    return int(status(directory)["Seccomp_filters"])


def renderers():
    """The directories in /proc of all renderers, and what is known of each."""
    own = namespaces("/proc/self")
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        directory = os.path.dirname(path)
        with open(path) as file:
            words = file.read().replace("\0", " ").split(" ")
        if "--type=renderer" not in words:
            continue
        found = status(directory)
        theirs = namespaces(directory)
        try:
            root = sorted(os.listdir(directory + "/root"))
        except OSError as error:
            root = error.strerror
        yield {
            "seccomp": int(found["Seccomp"]),
            # Beyond those that the job has itself.
            "filters": filters(directory) - filters("/proc/self"),
            "no_new_privs": int(found["NoNewPrivs"]),
            "capabilities": found["CapEff"],
            "pid_depth": len(found["NSpid"].split()),
            "own": [kind for kind in KINDS if theirs[kind] != own[kind]],
            "sees_root": isinstance(root, list) and "usr" in root,
            "no_sandbox": "--no-sandbox" in words,
        }


with sync_playwright() as playwright:
    path = sys.argv[1] if len(sys.argv) > 1 else None
    browser = playwright.chromium.launch(executable_path=path, args=sys.argv[2:])
    page = browser.new_page()
    page.goto("data:text/html,<p>Jailed")
    for line in renderers():
        print(json.dumps(line))
    browser.close()
