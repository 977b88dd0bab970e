# SPDX-License-Identifier: Apache-2.0
"""A report that somebody forgot to end."""

import contextlib
import subprocess


@contextlib.contextmanager
def reader(database):
    """A transaction that has looked once, and sees that moment for as long as it stays.

    Of what is deleted meanwhile, nothing can be removed.
    """
    session = subprocess.Popen(
        database.psql(), env=database.environment, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE)

    def look():
        session.stdin.write("SELECT count(*) FROM sandboxd.task_attempts;\n")
        session.stdin.flush()
        return session.stdout.readline().strip()

    try:
        session.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ;\n")
        seen = look()
        yield
        # Everybody else sees more of them by now.
        if not seen or look() != seen:
            raise SystemExit("bench-queue: the reader did not hold on")
    finally:
        session.stdin.close()
        session.wait()
