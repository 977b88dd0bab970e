# SPDX-License-Identifier: Apache-2.0
"""What a run reaches, and the secrets that it is given."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.own_daemon import OwnDaemon, profiles_with

from sandboxd import Secret, Unavailable

FETCH = """
import sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code)
"""


class _Site(http.server.BaseHTTPRequestHandler):
    """Answers the header X-Token of each request."""

    def do_GET(self) -> None:
        body = self.headers.get("X-Token", "none").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[int]:
    """The port of a server on this host."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_places_and_secrets(
    site: int, daemon: Callable[..., OwnDaemon], tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "token").write_text("correct horse\n")
    (secrets / "token").chmod(0o600)
    network = (
        f'network:\n  allow: ["site.test:{site}"]\n  ask: ["*.ask.test:*"]\n  bytes: 4MiB\n'
        "secrets: [token, missing]"
    )
    own = daemon(
        *("--egress-to", "site.test=127.0.0.1", "--egress-to", "a.ask.test=127.0.0.1"),
        *("--secrets", str(secrets)),
        profiles=profiles_with(tmp_path, network),
    ).sandbox
    fetch = ["python3", "-c", FETCH]
    inside, asked = f"http://site.test:{site}/", f"http://a.ask.test:{site}/"

    result = own.run("net", [*fetch, inside, asked]).check()
    assert result.stdout.text == "200 none\n403\n"
    places = {place.place: place for place in result.network}
    reached, denied = places[f"site.test:{site}"], places[f"a.ask.test:{site}"]
    assert reached.allowed and reached.rule == f"site.test:{site}" and reached.count == 1
    assert reached.received_bytes > 0 and reached.reason is None and reached.cause is None
    assert not denied.allowed and denied.reason and denied.rule is None
    assert denied.cause == "no_rule"
    assert result.usage.egress_bytes > 0

    header = Secret("token", "X-Token", f"a.ask.test:{site}")
    result = own.run("net", [*fetch, asked], allow=[f"a.ask.test:{site}"], secrets=[header])
    assert result.check().stdout.text == "200 correct horse\n"
    text = f"token=site.test:{site}/X-Token"
    assert own.run("net", [*fetch, inside], secrets=[text]).stdout.text == "200 correct horse\n"
    show = ["cat", "/workspace/.secrets/token"]
    assert own.run("net", show, secrets=["token"]).stdout.text == "correct horse\n"

    with pytest.raises(Unavailable) as raised:
        own.run("net", ["true"], secrets=["missing"])
    assert (raised.value.status, raised.value.code) == (503, "secret")
    assert "'missing'" in str(raised.value)
