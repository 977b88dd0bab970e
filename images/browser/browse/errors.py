# SPDX-License-Identifier: Apache-2.0
"""Why a page could not be looked at."""


class Refused(Exception):
    """What was asked for is not done: exit status 2."""


class PageFailed(Exception):
    """The page did not do what it should: exit status 1."""


class TimedOut(PageFailed):
    """Nothing came of it in time."""


class BrowserGone(PageFailed):
    """Chromium ended, or never came up."""
