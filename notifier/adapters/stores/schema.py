"""The tables, in words that SQLite and PostgreSQL share.

Points in time are integer microseconds since the epoch, durations are seconds. Wide texts stand last in their rows:
SQLite finds what comes before them without reading through them. The migrations build exactly this, and a test
compares the two.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    func,
    literal_column,
    text,
)

from notifier.domain.shard import SHARDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime as microseconds since the epoch: exact, sortable, and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


_Key = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY is SQLite's own row number

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

tasks = Table(
    "tasks",
    metadata,
    Column("key", _Key, Identity(), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # watching | completed | failed | abandoned | idle (nobody watches)
    Column("polls", Integer, nullable=False, server_default=text("0")),
    Column("last_polled_at", Moment),
    Column("misses", Integer, nullable=False, server_default=text("0")),
    Column("missed_since", Moment),
    Column("bare", Integer, nullable=False, server_default=text("0")),
    Column("ended_at", Moment),
    Column("reason", Text),
    Column("status", Text),
    Column("last_error", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("urls", Text),  # a JSON array; NULL is none
    Column("response", Text),
    Column("variables", Text, nullable=False, server_default=text("'{}'")),  # a JSON object, its keys sorted
    Column("watched_since", Moment),
    Column("seen_running_at", Moment),
    Column("model", Text),
    Column("expires_at", Moment),  # of the URLs
    Column("refreshed_at", Moment),
    Column("downloads", Text),  # a JSON array; NULL is none
    Column("touched_at", Moment),  # on the database's clock, where many nodes share it: when its watches last changed
    # In this order, so that a task id alone is found as well.
    UniqueConstraint("task_id", "provider", "variables").ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,  # a key is never used again: what is in flight for an old task cannot hit a new one
)

watches = Table(
    "watches",
    metadata,
    Column("seq", _Key, Identity(), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("task_key", ForeignKey("tasks.key"), nullable=False, index=True),
    Column("state", Text, nullable=False),  # watching | completed | failed | abandoned | cancelled
    Column("interval", Double),  # NULL follows the provider's
    Column("registered_at", Moment, nullable=False),
    Column("deadline_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("source", Text, nullable=False),  # who registered it first: intake | config
    Column("declared", Boolean, nullable=False),  # whether the configuration lists it now
    Column("callback_url", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Index(None, "state", "seq"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _Key, Identity(), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("watch_id", ForeignKey("watches.id"), nullable=False, index=True),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending | delivered | exhausted
    Column("reason", Text),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("deferrals", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_attempt_at", Moment),
    Column("callback_url", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("held_until", Moment),  # NULL: nothing holds it back
    Column("urls_at", Moment),
    Column("urls_expire_at", Moment),
    Column("links_expire_at", Moment),
    Column("leased_by", Text),  # the node that attempts it, for as long as that one lives; NULL: whoever is free may
    Index(None, "state", "seq"),
)

files = Table(
    "files",
    metadata,
    Column("task_key", BigInteger, nullable=False),  # no foreign key: a file may be kept for longer than its task
    Column("n", Integer, nullable=False),
    Column("state", Text, nullable=False),  # pending | saved | unsaved | deleted
    Column("size", BigInteger),
    Column("tries", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_try_at", Moment),
    Column("saved_at", Moment),
    Column("content_type", Text),
    Column("sha256", Text),
    Column("name", Text, nullable=False),
    Column("location", Text),
    Column("error", Text),
    Column("url", Text, nullable=False),
    PrimaryKeyConstraint("task_key", "n"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False),
    Column("number", Integer, nullable=False),  # from 1, over all redeliveries
    Column("at", Moment, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("http_status", Integer),
    Column("duration", Double, nullable=False),
    Column("error", Text),
    Column("response", Text),
    PrimaryKeyConstraint("delivery_id", "number"),
    sqlite_with_rowid=False,  # an attempt is only ever found by its delivery
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("seq", _Key, Identity(), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("rate", Double),  # attempts a second; NULL is no limit of its own, as of concurrency
    Column("concurrency", Integer),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("events", Text, nullable=False),  # a JSON array
    Column("secrets", Text, nullable=False),  # a JSON array, as written: what signs must be able to read them
    Column("headers", Text, nullable=False),  # a JSON object
    UniqueConstraint("url").ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,  # a cursor never skips a newer endpoint for having a deleted one's number
)

nodes = Table(
    "nodes",  # daemons that share this database; a dead one's row is removed, and with it everything that it held
    metadata,
    Column("id", Text, primary_key=True),  # of one run of a daemon: never used again
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("alive_until", Moment, nullable=False),  # on the database's clock, as every time in this table
    Column("leaving", Boolean, nullable=False),  # it takes no more shards
    Column("report", Text, nullable=False),  # a JSON object: how many tasks it polls, how late, how many it wants to
)

shards = Table(
    "shards",  # a task belongs to the shard whose number is its key modulo their count
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("fence", BigInteger, nullable=False),  # grows whenever the owner changes, and never falls
    Column("owner", Text),  # a node's id; NULL: nobody's
)

shares = Table(
    "shares",  # what each node may take of a provider's rate
    metadata,
    Column("provider", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("rate", Double, nullable=False),  # polls a second
    PrimaryKeyConstraint("provider", "node"),
)

pulse = Table(
    "pulse",  # one row, written to prove that writing works
    metadata,
    Column("beats", BigInteger, nullable=False),
)

# Conditions of partial indexes are written out, not bound: only then does a planner see that a query implies them.
WATCHING: ColumnElement[bool] = watches.c.state == literal_column("'watching'")
NOT_CANCELLED: ColumnElement[bool] = watches.c.state != literal_column("'cancelled'")
OVER: ColumnElement[bool] = watches.c.state != literal_column("'watching'")
DECLARED: ColumnElement[bool] = watches.c.declared.is_(True)
WATCHED: ColumnElement[bool] = tasks.c.state == literal_column("'watching'")
SHARD: ColumnElement[int] = tasks.c.key % literal_column(str(SHARDS))
PENDING: ColumnElement[bool] = deliveries.c.state == literal_column("'pending'")
_ABOUT_RESULTS: list[ColumnElement[str]] = [literal_column("'result.saved'"), literal_column("'result.unsaved'")]
ABOUT_THE_END: ColumnElement[bool] = deliveries.c.type.notin_(_ABOUT_RESULTS)
HELD: ColumnElement[bool] = deliveries.c.held_until.is_not(None)
UNSETTLED: ColumnElement[bool] = files.c.state == literal_column("'pending'")
SAVED: ColumnElement[bool] = files.c.state == literal_column("'saved'")


def _partial(name: str, *columns: ColumnElement[Any], where: ColumnElement[bool], unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_partial("uq_watches_promise", watches.c.task_key, watches.c.callback_url, where=NOT_CANCELLED, unique=True).ddl_if(
    dialect="sqlite"
)
_partial("ix_watches_over", watches.c.ended_at, where=OVER)
_partial("ix_watches_declared", watches.c.seq, where=DECLARED)
_partial("uq_deliveries_end", deliveries.c.watch_id, where=ABOUT_THE_END, unique=True)  # a watch is told its end once
_partial("ix_deliveries_held", deliveries.c.watch_id, where=HELD)
_partial("ix_files_unsettled", files.c.task_key, where=UNSETTLED)
_partial("ix_tasks_touched_at", tasks.c.touched_at, where=tasks.c.touched_at.is_not(None))
_partial("ix_deliveries_leased_by", deliveries.c.leased_by, where=deliveries.c.leased_by.is_not(None))
_partial("ix_files_saved", files.c.saved_at, where=SAVED)

# PostgreSQL's indexes take 2,704 bytes, and a URL of 2,048 characters or a task's variables may have more.
_DIGESTED = (
    Index("uq_tasks_name", tasks.c.task_id, tasks.c.provider, func.md5(tasks.c.variables), unique=True),
    _partial(
        "uq_watches_promise_digest",
        watches.c.task_key,
        func.md5(watches.c.callback_url),
        where=NOT_CANCELLED,
        unique=True,
    ),
    Index("uq_endpoints_url_digest", func.md5(endpoints.c.url), unique=True),
)
_OF_MANY_NODES = (
    _partial(
        "ix_tasks_shard",
        tasks.c.key % literal_column("256"),
        where=tasks.c.state == literal_column("'watching'"),
    ),
    _partial(
        "ix_deliveries_free",
        deliveries.c.next_attempt_at,
        where=and_(PENDING, ~HELD, deliveries.c.leased_by.is_(None)),
    ),
)
ONLY_POSTGRESQL: tuple[Index, ...] = (*_DIGESTED, *_OF_MANY_NODES)
for _index in ONLY_POSTGRESQL:
    _index.ddl_if(dialect="postgresql")
