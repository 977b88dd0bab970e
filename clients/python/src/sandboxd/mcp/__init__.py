# SPDX-License-Identifier: Apache-2.0
"""An MCP server on standard input and output: `python -m sandboxd.mcp`, of the extra `mcp`.

    __main__.py  the command line
    server.py    the tools
"""
