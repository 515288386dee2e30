"""Registered endpoints: one for each URL."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from notifier.adapters.stores.rows import endpoint_of, endpoint_params, terms_params
from notifier.adapters.stores.schema import endpoints
from notifier.domain.endpoint import Endpoint, Overfull
from notifier.ports import Alter

_ALL = select(endpoints).order_by(endpoints.c.seq)
_BY_URL = select(endpoints).where(endpoints.c.url == bindparam("wanted"))
_LOCKED_BY_ID = select(endpoints).where(endpoints.c.id == bindparam("wanted")).with_for_update()
_INSERT = insert(endpoints)
_CHANGE = update(endpoints).where(endpoints.c.id == bindparam("wanted"))
_DELETE = delete(endpoints).where(endpoints.c.id == bindparam("wanted"))


def every(connection: Connection) -> list[Endpoint]:
    return [endpoint_of(row) for row in connection.execute(_ALL)]


def add(connection: Connection, endpoint: Endpoint) -> Endpoint:
    if connection.execute(_BY_URL, {"wanted": endpoint.url}).one_or_none() is None:
        connection.execute(_INSERT, endpoint_params(endpoint))
    return endpoint_of(connection.execute(_BY_URL, {"wanted": endpoint.url}).one())


def change(connection: Connection, endpoint_id: str, alter: Alter) -> Endpoint | Overfull | None:
    row = connection.execute(_LOCKED_BY_ID, {"wanted": endpoint_id}).one_or_none()
    if row is None:
        return None
    changed = alter(endpoint_of(row))
    if isinstance(changed, Overfull):
        return changed
    connection.execute(_CHANGE, {"wanted": endpoint_id, **terms_params(changed)})
    return changed


def remove(connection: Connection, endpoint_id: str) -> bool:
    return connection.execute(_DELETE, {"wanted": endpoint_id}).rowcount > 0
