# SPDX-License-Identifier: Apache-2.0
"""The private server that `scripts/with-postgres --durable` started, and its databases."""

import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import time

# What "durable" means here. A server without it is not measured.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclasses.dataclass
class Drained:
    """What one drain of a queue came to."""

    jobs: int
    seconds: float
    wal_bytes: int

    @property
    def rate(self):
        return self.jobs / self.seconds


class Server:
    """The server, as its superuser."""

    def __init__(self):
        self._words = dict(
            word.split("=", 1) for word in os.environ["SANDBOXD_TEST_DATABASE"].split())
        self.first = Database(self._words)
        for name, value in DURABLE.items():
            if self.first.sql(f"SHOW {name}") != value:
                raise SystemExit(f"bench-queue: {name} is not {value} on this server")

    @property
    def version(self):
        return self.first.sql("SHOW server_version").split()[0]

    def sync_milliseconds(self):
        """How long the server's disk takes to keep a block: the floor under every commit."""
        path = os.path.join(self._words["host"], "sync-probe")
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            samples = []
            for _ in range(200):
                os.pwrite(file, bytes(8192), 0)
                start = time.perf_counter_ns()
                os.fdatasync(file)
                samples.append((time.perf_counter_ns() - start) / 1e6)
            return statistics.median(samples)
        finally:
            os.close(file)
            os.unlink(path)

    @contextlib.contextmanager
    def database(self, name, template="template0"):
        """A database while it lasts, a copy of another one. Nobody may be connected to that."""
        self.first.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        # So that no run pays for writing down what the one before it has left.
        self.first.sql("CHECKPOINT")
        try:
            yield Database({**self._words, "dbname": name})
        finally:
            self.first.sql(f"DROP DATABASE {name} WITH (FORCE)")


class Database:
    """One database."""

    def __init__(self, words):
        self.target = " ".join(f"{key}={value}" for key, value in words.items())
        # Every client of PostgreSQL knows these, whatever its connection strings look like.
        self.environment = {
            **os.environ, "PGHOST": words["host"], "PGUSER": words["user"],
            "PGDATABASE": words["dbname"],
        }

    def program(self, name):
        return os.path.join(os.environ["SANDBOXD_TEST_POSTGRES"], name)

    def psql(self):
        """A command that reads statements, and prints values and nothing else."""
        return [self.program("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1"]

    def sql(self, text):
        """Runs statements; what they answer, as text."""
        done = subprocess.run(
            self.psql(), input=text, env=self.environment, text=True, stdout=subprocess.PIPE,
            check=True)
        return done.stdout.strip()

    def wal_bytes(self):
        """The write-ahead log so far, of the whole server."""
        return int(self.sql("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def pgbench(self, script, clients, *until):
        """Runs a script over and over, prepared, and answers how often and how long.

        `until` is pgbench's: `-t` transactions of each client, or `-T` seconds.
        """
        command = [
            self.program("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j",
            str(clients), "-f", "-", *until,
        ]
        done = subprocess.run(
            command, input=script, env=self.environment, text=True, capture_output=True)
        count = re.search(r"actually processed: (\d+)", done.stdout)
        rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
        if done.returncode != 0 or not count or not rate:
            raise SystemExit(f"bench-queue: pgbench failed:\n{done.stdout}{done.stderr}")
        return int(count[1]), int(count[1]) / float(rate[1])
