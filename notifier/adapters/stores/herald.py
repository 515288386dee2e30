"""What other nodes are told of, with the commit of what they are told of. PostgreSQL's only, but for its silence."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import BigInteger, Connection, any_, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from notifier.adapters.stores.database_clock import NOW
from notifier.adapters.stores.schema import tasks
from notifier.ports import Cancelled, Declared, Registered, Tenure

T = TypeVar("T")

CHANNEL = "notifier_news"
ROSTER = "roster"
"""What nodes hear when some of them have come or gone, or have left something that others can have."""
MOST_BYTES = 7900
"""PostgreSQL takes less than 8,000 (https://www.postgresql.org/docs/current/sql-notify.html)."""
UNKNOWN = "-"
"""The name of a node that has not joined the others yet."""

_TOUCH = (
    update(tasks)
    .where(tasks.c.key == any_(bindparam("keys", type_=ARRAY(BigInteger))))  # of a file's watches there is no end
    .values(touched_at=literal_column(NOW))
)
_TELL = select(func.pg_notify(CHANNEL, bindparam("words")))


class Herald(Protocol):
    """Called inside the transactions that change something."""

    def tasks(self, connection: Connection, keys: Collection[int]) -> None:
        """The watches of these tasks have changed."""
        ...

    def endpoints(self, connection: Connection) -> None: ...


class Silence:
    """Nobody else works on this store."""

    def tasks(self, connection: Connection, keys: Collection[int]) -> None:
        """Nobody to tell."""

    def endpoints(self, connection: Connection) -> None:
        """As above."""


class Crier:
    """Tells the other nodes, and writes down which tasks it told of: whoever heard nothing finds them."""

    def __init__(self, tenure: Tenure) -> None:
        self._tenure = tenure

    def tasks(self, connection: Connection, keys: Collection[int]) -> None:
        if not keys:
            return
        connection.execute(_TOUCH, {"keys": list(keys)})
        for words in portions(f"tasks {self._tenure.node or UNKNOWN}", sorted(keys)):
            tell(connection, words)

    def endpoints(self, connection: Connection) -> None:
        tell(connection, "endpoints")


SILENCE = Silence()


def tell(connection: Connection, words: str) -> None:
    """Everybody who listens hears this when the transaction is committed."""
    connection.execute(_TELL, {"words": words})


def portions(beginning: str, keys: Sequence[int]) -> Iterator[str]:
    """As few lines as can hold them."""
    words = beginning
    for key in keys:
        if len(words) + len(str(key)) >= MOST_BYTES:
            yield words
            words = beginning
        words += f" {key}"
    yield words


def telling(
    herald: Herald, work: Callable[[Connection], T], keys: Callable[[T], Collection[int]]
) -> Callable[[Connection], T]:
    """The same work, told of to others in its transaction; `keys` names the tasks of its result."""

    def told(connection: Connection) -> T:
        result = work(connection)
        herald.tasks(connection, keys(result))
        return result

    return told


def of_registered(registered: Iterable[Registered]) -> Collection[int]:
    return {one.view.task_key for one in registered if one.created}


def of_cancelled(cancelled: Cancelled | None) -> Collection[int]:
    if cancelled is None:
        return ()
    left = cancelled.task_key if cancelled.task is None else cancelled.task.key
    return () if left is None else (left,)


def of_declared(declared: Declared) -> Collection[int]:
    return {*(task.key for task in declared.tasks), *declared.dropped}
