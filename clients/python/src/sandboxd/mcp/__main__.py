# SPDX-License-Identifier: Apache-2.0
"""`python -m sandboxd.mcp`: the MCP server, until standard input ends."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from ..async_client import AsyncSandbox
from ..tools.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandboxd.mcp",
        description="Offers run_code, run_shell and browse over MCP, on standard input and output.",
    )
    usual = Settings()
    parser.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    for name, profile in (
        ("code", usual.profile_code),
        ("shell", usual.profile_shell),
        ("browser", usual.profile_browser),
    ):
        parser.add_argument(
            f"--profile-{name}",
            metavar="NAME",
            default=profile,
            help=f"the profile of its runs (default: {profile})",
        )
    parser.add_argument(
        "--allow",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="a place that browse may reach, such as example.com:443; can be repeated",
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    # Imported here, so that --help needs no packages.
    from mcp.server.stdio import stdio_server

    from .server import make_server

    settings = Settings(
        options.profile_code, options.profile_shell, options.profile_browser, tuple(options.allow)
    )
    server = make_server(AsyncSandbox(options.socket), settings)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def main() -> int:
    """Serves; answers the exit status."""
    options = _parser().parse_args()
    # A thread reads standard input and hears of nothing else. There is nothing to tidy up: the runs
    # end with their connections, and those with this process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        asyncio.run(_serve(options))
    except ImportError as error:
        print(f"sandboxd.mcp: {error}: pip install 'sandboxd[mcp]'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
