"""What nodes tell each other, over PostgreSQL's LISTEN and NOTIFY: one connection that is never shared, in a thread.

A pool of connections before the server that lends them for a transaction at a time (pgbouncer) carries no news, and
does not say so. So this node says a word on another connection now and then, and listens for it.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog

from notifier.adapters.stores.herald import CHANNEL
from notifier.adapters.stores.patience import impatient
from notifier.ports import Changed, Gathered, Missed, News, Readdressed, Tenure

log = structlog.get_logger()

LOOK_SECONDS = 0.5
"""How often the thread looks up from listening."""
HEARD_WITHIN_SECONDS = 5.0
PROVE_EVERY_SECONDS = 30.0
AGAIN_SECONDS = 1.0


class PostgresWire:
    """Implements the Wire port. `conninfo` is where to listen, and to `speak` (if that is somewhere else); a word is
    waited for so long (`patience`, seconds)."""

    def __init__(
        self, conninfo: str, tenure: Tenure, *, speak: str | None = None, patience: float = HEARD_WITHIN_SECONDS
    ) -> None:
        self._conninfo = conninfo
        self._speak_at = speak or conninfo
        self._patience = patience
        self._tenure = tenure
        self._heard: Callable[[News], None] = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="store-news", daemon=True)
        self._deaf = True
        self._told = False
        self._word = ""
        self._said_at = 0.0

    @property
    def deaf(self) -> bool:
        return self._deaf

    def listen(self, heard: Callable[[News], None]) -> None:
        self._heard, self._loop = heard, asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        self._closed.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    # In the thread

    def _serve(self) -> None:
        while not self._closed.is_set():
            wait = AGAIN_SECONDS
            try:
                with self._connect(self._conninfo) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    wait = self._attend(connection)
            except psycopg.Error as error:
                log.debug("news.lost", error=str(error).strip())  # that the store is away others tell
            self._deaf = True
            self._closed.wait(wait)

    def _attend(self, connection: psycopg.Connection[tuple[object, ...]]) -> float:
        """Listen until a word is not heard; the answer is in how many seconds to connect anew."""
        self._say_word()
        while not self._closed.is_set():
            for notice in connection.notifies(timeout=min(LOOK_SECONDS, self._patience), stop_after=1):
                self._take(notice.payload)
            silent_for = time.monotonic() - self._said_at
            if self._word and silent_for > self._patience:
                if not self._deaf:  # it was heard before: this connection is gone
                    return AGAIN_SECONDS
                self._tell_deaf()
                return PROVE_EVERY_SECONDS
            if silent_for > PROVE_EVERY_SECONDS:
                self._say_word()
        return 0.0

    def _say_word(self) -> None:
        self._word, self._said_at = secrets.token_hex(8), time.monotonic()
        with self._connect(self._speak_at) as connection:
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"word {self._word}"))

    def _tell_deaf(self) -> None:
        if not self._told:
            self._told = True
            hint = (
                "the store is looked through every second instead, which takes more of it; name the server itself in "
                "store.url, or a pool in session mode, to have new watches polled at once"
            )
            log.warning("news.unheard", hint=hint)

    def _take(self, payload: str) -> None:
        kind, _, rest = payload.partition(" ")
        match kind:
            case "tasks":
                node, *keys = rest.split()
                if node != self._tenure.node:
                    self._pass_on(Changed(tuple(int(key) for key in keys)))
            case "roster":
                self._pass_on(Gathered())
            case "endpoints":
                self._pass_on(Readdressed())
            case "word" if rest == self._word:
                self._hear_word()
            case _:  # another node's word, or what a newer version says
                pass

    def _hear_word(self) -> None:
        self._word = ""
        if self._deaf:
            self._deaf = False
            if self._told:
                self._told = False
                log.info("news.heard")
            self._pass_on(Missed())

    def _pass_on(self, news: News) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._heard, news)

    def _connect(self, conninfo: str) -> psycopg.Connection[tuple[object, ...]]:
        """One that falls silent is given up, and each as soon as this is closed."""
        return impatient(HEARD_WITHIN_SECONDS, self._closed).connect(conninfo, autocommit=True, prepare_threshold=None)
