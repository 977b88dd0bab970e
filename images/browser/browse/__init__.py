# SPDX-License-Identifier: Apache-2.0
"""One page, one browser, one JSON line: the tool `browse` of the browser image.

It drives Chromium by the DevTools protocol over a pipe, with nothing but Python's standard library:
Playwright's driver is a program of its own that takes longer to start than a page to load.

    cli.py        the command line, and what is printed
    addresses.py  which URLs may be opened
    chromium.py   starting and ending the browser
    pipe.py       the protocol: calls, answers, events
    page.py       one page: loading it, and what happens on it
    reading.py    what is run inside of a page to read it
    actions.py    one function for each command
    archive.py    HTTP archives
    fetch.py      downloads
"""
