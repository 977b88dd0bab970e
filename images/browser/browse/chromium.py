# SPDX-License-Identifier: Apache-2.0
"""Starting and ending Chromium."""
import fcntl
import os
import select
import signal
import tempfile
import time

from .errors import BrowserGone
from .pipe import Pipe

EXECUTABLE = os.environ.get("BROWSE_CHROMIUM", "/usr/local/bin/chromium")
LAUNCH_SECONDS = 20
CLOSE_SECONDS = 2

SWITCHES = [
    "--remote-debugging-pipe",
    "--no-startup-window",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-service-autorun",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-field-trial-config",
    "--disable-gpu",
    "--disable-hang-monitor",
    "--disable-popup-blocking",  # what opens is counted and closed; it must be seen
    "--disable-prompt-on-repost",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-features=MediaRouter,OptimizationHints,Translate,HttpsUpgrades",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
]


class Chromium:
    """A running browser, with its files in a directory that goes with the sandbox."""

    def __init__(self, further=()):
        self.profile = tempfile.mkdtemp(prefix="browse-")
        self.log = os.path.join(self.profile, "log")
        to_child, write_fd = high_pipe()
        read_fd, from_child = high_pipe()
        arguments = [EXECUTABLE, f"--user-data-dir={self.profile}", *SWITCHES, *further]
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A debugging pipe is 3 for what Chromium reads and 4 for what it writes.
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_DUP2, to_child, 3),
            (os.POSIX_SPAWN_DUP2, from_child, 4),
        ]
        self.pid = os.posix_spawn(EXECUTABLE, arguments, os.environ, file_actions=actions)
        for fd in (to_child, from_child, log):
            os.close(fd)
        self.pipe = Pipe(read_fd, write_fd)
        try:
            deadline = time.monotonic() + LAUNCH_SECONDS
            self.version = self.pipe.call("Browser.getVersion", deadline=deadline)["product"]
        except BrowserGone:
            raise BrowserGone("Chromium did not start: " + self.last_words()) from None

    def last_words(self):
        """The last lines that Chromium wrote."""
        with open(self.log, "rb") as file:
            text = file.read()[-4000:].decode("utf-8", "replace")
        return " · ".join(text.split("\n")[-4:]).strip(" ·") or "it said nothing"

    def close(self):
        """Ends the browser: by a word, and then by force."""
        try:
            self.pipe.send("Browser.close")
        except BrowserGone:
            pass
        os.close(self.pipe.write_fd)
        end = time.monotonic() + CLOSE_SECONDS
        pidfd = os.pidfd_open(self.pid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(max(0, int((end - time.monotonic()) * 1000))):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(pidfd)


def high_pipe():
    """A pipe whose ends are in nobody's way, and that no child gets by itself."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high
