# SPDX-License-Identifier: Apache-2.0
"""Queues from PyPI, each drained by its own workers, as its documentation says."""

import dataclasses
import os
import subprocess

from postgres import Drained

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALL_SECONDS = 300


class PeerError(Exception):
    """A peer cannot be measured here."""


@dataclasses.dataclass
class Peer:
    """A queue that a program of ours beside this file fills and drains."""

    name: str
    program: str
    # Pinned: the figures are of these.
    packages: tuple[str, ...]
    # Of the last one that was completed, in seconds since 1970, and how many were. Its history's
    # own stamps: workers take their time to end, and that is not what is measured.
    ended: str
    # What it can tell afterwards, and prevents.
    notes: str


PGQUEUER = Peer(
    "PgQueuer 1.6.0", "peer_pgqueuer.py", ("pgqueuer==1.6.0", "asyncpg==0.32.0"),
    """SELECT extract(epoch FROM max(created)), count(*) FROM pgqueuer_log
       WHERE status = 'successful'""",
    "a log without payloads, no fence, no budgets")

PROCRASTINATE = Peer(
    "Procrastinate 3.10.0", "peer_procrastinate.py",
    ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    """SELECT extract(epoch FROM max(at)), count(*) FROM procrastinate_events
       WHERE type = 'succeeded'""",
    "history, no fence, no budgets, 10 at a time in each process, fetched one by one")


class Environment:
    """A Python with the peers in it, made when it is missing."""

    def __init__(self, directory):
        self._directory = directory

    def install(self, peer):
        """Puts a peer's packages there; does nothing when they are."""
        python = os.path.join(self._directory, "bin", "python3")
        commands = [] if os.path.exists(python) else [
            ["/usr/bin/python3", "-m", "venv", self._directory]]
        commands.append([
            python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries",
            "1", *peer.packages])
        for command in commands:
            try:
                subprocess.run(
                    command, check=True, text=True, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, timeout=INSTALL_SECONDS)
            except subprocess.CalledProcessError as error:
                # The first line says what went wrong, the last what that led to.
                raise PeerError((error.stderr.strip() or "no reason given").splitlines()[0])
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PeerError(str(error))

    def fill(self, database, peer, count):
        """The peer's schema, and so many jobs that wait."""
        worker = self._start(database, peer, "fill", str(count))
        if worker.wait() != 0:
            raise PeerError("its queue could not be filled")
        database.sql("VACUUM ANALYZE")

    def drain(self, peer, database, batch, clients, jobs):
        """Lets so many worker processes go at the same moment, until the queue is empty."""
        workers = [self._start(database, peer, "drain", str(batch)) for _ in range(clients)]
        try:
            for worker in workers:
                if worker.stdout.readline() != "ready\n":
                    raise PeerError("its worker did not start")
            log = database.wal_bytes()
            began = float(database.sql("SELECT extract(epoch FROM clock_timestamp())"))
            for worker in workers:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            if any([worker.wait() for worker in workers]):
                raise PeerError("its worker failed")
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
        ended, done = database.sql(peer.ended).split("|")
        if int(done) != jobs:
            raise PeerError(f"{done} of {jobs} jobs were completed")
        return Drained(jobs, float(ended) - began, database.wal_bytes() - log)

    def _start(self, database, peer, *arguments):
        command = [
            os.path.join(self._directory, "bin", "python3"), "-B",
            os.path.join(HERE, peer.program), *arguments]
        return subprocess.Popen(
            command, env=database.environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
