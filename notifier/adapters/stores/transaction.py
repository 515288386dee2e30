"""One transaction, and how to tell the database's trouble from our own faults."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from notifier.ports import StoreUnavailableError

Explain: TypeAlias = Callable[[SQLAlchemyError], StoreUnavailableError]
"""What went wrong and what to do about it, in one line and without SQL."""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commit at the end. After any failure, of the commit too, the connection is closed rather than used again, and
    with it ends whatever is left of the transaction."""
    with engine.connect() as connection:
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.invalidate()
            raise


def trouble(error: Exception, explain: Explain) -> StoreUnavailableError | None:
    """Why the store is not available, in an exception of its own; None if the error is of another kind."""
    match error:
        case StoreUnavailableError():
            return StoreUnavailableError(str(error), error.fault)
        case IntegrityError() | ProgrammingError() | DataError():
            return None
        case DatabaseError() | InterfaceError():
            return explain(error)
        case _:
            return None
