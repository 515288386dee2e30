"""How long tasks took that ended by themselves."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from notifier.adapters.stores.schema import tasks
from notifier.domain.lifetimes import MEMORY, Life

PER_KIND = 5 * int(MEMORY)
"""What is older says nothing any more."""
LOOKED_THROUGH = 5000
"""The newest tasks of a full store: it takes a few milliseconds, and a daemon waits for it when it starts."""

_NEWEST = select(func.max(tasks.c.key) - LOOKED_THROUGH).scalar_subquery()
_KNOWN = (
    select(
        tasks.c.provider,
        tasks.c.model,
        tasks.c.watched_since,
        tasks.c.seen_running_at,
        tasks.c.ended_at,
        func.row_number()
        .over(partition_by=(tasks.c.provider, tasks.c.model), order_by=tasks.c.ended_at.desc())
        .label("place"),
    )
    .where(
        tasks.c.key > _NEWEST,
        tasks.c.state.in_(("completed", "failed")),
        tasks.c.watched_since <= tasks.c.seen_running_at,  # and neither is NULL
        tasks.c.seen_running_at < tasks.c.ended_at,
    )
    .subquery()
)
_LATEST = select(_KNOWN).where(_KNOWN.c.place <= PER_KIND).order_by(_KNOWN.c.ended_at)


def latest(connection: Connection) -> Sequence[Life]:
    return [
        Life(
            row.provider,
            row.model,
            (row.seen_running_at - row.watched_since).total_seconds(),
            (row.ended_at - row.watched_since).total_seconds(),
        )
        for row in connection.execute(_LATEST)
    ]
