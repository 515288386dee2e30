"""One transaction, and how to tell the database's trouble from our own faults."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, SQLAlchemyError

from notifier.ports import StoreUnavailableError

Explain: TypeAlias = Callable[[SQLAlchemyError], StoreUnavailableError | None]
"""What went wrong and what to do about it, in one line and without SQL; None: nothing is wrong with the store, it
is a fault of the statement."""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commit at the end. After any failure, of the commit too, the connection is closed rather than used again, and
    with it ends whatever is left of the transaction."""
    with engine.connect() as connection:
        try:
            with _begin(connection):
                yield connection
        except BaseException:
            connection.invalidate()
            raise


def _begin(connection: Connection) -> RootTransaction:
    """A connection that died while it lay in the pool is made anew: nothing has been asked of it yet."""
    try:
        return connection.begin()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return connection.begin()


def trouble(error: Exception, explain: Explain) -> StoreUnavailableError | None:
    """Why the store is not available, in an exception of its own; None if the error is of another kind."""
    match error:
        case StoreUnavailableError():
            return StoreUnavailableError(str(error), error.fault)
        case DatabaseError() | InterfaceError():
            return explain(error)
        case _:
            return None
