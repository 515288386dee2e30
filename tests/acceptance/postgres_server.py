"""A PostgreSQL that a test may stop, kill and crowd."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.postgres_server import PostgresServer as Server

ROLE = "daemon"
"""An ordinary role: places that are kept free for superusers are not for daemons."""
PASSWORD = "pa55word-of-the-store"
PLACES = 100
"""How many connections there may be (`max_connections`), three of them for superusers."""


class PostgresServer(Server):
    """One server, with databases for daemons."""

    def start(self, *settings: str) -> None:
        super().start(f"max_connections={PLACES}", *settings)

    def new_database(self) -> str:
        """The URL of an empty one, for an ordinary role."""
        if not self.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            self.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        name = self.create()
        self.execute(f"ALTER DATABASE {name} OWNER TO {ROLE}")
        return self.url(name, user=ROLE, password=PASSWORD)

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
                    if not self.execute(f"{end_others} (ARRAY[{pids}]::int[])"):
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
