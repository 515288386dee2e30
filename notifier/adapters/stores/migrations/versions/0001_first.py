"""The first schema."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _tasks()
    _watches()
    _deliveries()
    _attempts()
    pulse = op.create_table("pulse", sa.Column("beats", sa.BigInteger, nullable=False))
    op.bulk_insert(pulse, [{"beats": 0}])


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("key", _KEY, sa.Identity(), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("polls", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("last_polled_at", sa.BigInteger),
        sa.Column("misses", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("missed_since", sa.BigInteger),
        sa.Column("bare", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("urls", sa.Text),
        sa.Column("response", sa.Text),
        sa.PrimaryKeyConstraint("key", name="pk_tasks"),
        sa.UniqueConstraint("task_id", "provider", name="uq_tasks_task_id_provider").ddl_if(dialect="sqlite"),
        sqlite_autoincrement=True,
    )


def _watches() -> None:
    op.create_table(
        "watches",
        sa.Column("seq", _KEY, sa.Identity(), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("task_key", _KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("interval", sa.Double),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("declared", sa.Boolean, nullable=False),
        sa.Column("callback_url", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_watches"),
        sa.UniqueConstraint("id", name="uq_watches_id"),
        sa.ForeignKeyConstraint(["task_key"], ["tasks.key"], name="fk_watches_task_key"),
    )
    op.create_index("ix_watches_task_key", "watches", ["task_key"])
    op.create_index("ix_watches_state_seq", "watches", ["state", "seq"])
    kept = sa.text("state != 'cancelled'")
    if op.get_bind().dialect.name == "sqlite":
        _partial_index("uq_watches_promise", "watches", ["task_key", "callback_url"], kept, unique=True)
    else:  # PostgreSQL's indexes take 2,704 bytes, and a URL may have more
        digest: list[str | sa.TextClause] = ["task_key", sa.text("md5(callback_url)")]
        _partial_index("uq_watches_promise_digest", "watches", digest, kept, unique=True)
    _partial_index("ix_watches_over", "watches", ["ended_at"], sa.text("state != 'watching'"))
    _partial_index("ix_watches_declared", "watches", ["seq"], sa.column("declared", sa.Boolean).is_(True))


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("seq", _KEY, sa.Identity(), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("watch_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("deferrals", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("callback_url", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_deliveries"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
        sa.UniqueConstraint("watch_id", name="uq_deliveries_watch_id"),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name="fk_deliveries_watch_id"),
    )
    op.create_index("ix_deliveries_state_seq", "deliveries", ["state", "seq"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("response", sa.Text),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_attempts_delivery_id"),
        sqlite_with_rowid=False,
    )


def _partial_index(
    name: str,
    table: str,
    columns: Sequence[str | sa.TextClause],
    where: sa.ColumnElement[bool] | sa.TextClause,
    *,
    unique: bool = False,
) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
