"""Tasks with variables of their own, what is learned of durations, results that are saved, and deliveries that wait for
them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


_AGE_OF_URLS = """
    UPDATE deliveries SET urls_at = (
        SELECT tasks.ended_at FROM watches JOIN tasks ON tasks.key = watches.task_key
        WHERE watches.id = deliveries.watch_id AND tasks.urls IS NOT NULL
    ) WHERE type = 'task.completed'
"""  # what was told before has result URLs that grow old, too


def upgrade() -> None:
    _tasks()
    _deliveries()
    _files()


def _tasks() -> None:
    """SQLite has to build the table anew, for a constraint of it changes; no key may be used a second time all the
    same."""
    last = _last_key()
    with op.batch_alter_table("tasks", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("variables", sa.Text, nullable=False, server_default=sa.text("'{}'")))
        for name in ("watched_since", "seen_running_at", "expires_at", "refreshed_at"):
            batch.add_column(sa.Column(name, sa.BigInteger))
        batch.add_column(sa.Column("model", sa.Text))
        batch.add_column(sa.Column("downloads", sa.Text))
        if op.get_bind().dialect.name == "sqlite":
            batch.drop_constraint("uq_tasks_task_id_provider", type_="unique")
            batch.create_unique_constraint("uq_tasks_task_id_provider_variables", ["task_id", "provider", "variables"])
    if op.get_bind().dialect.name != "sqlite":  # PostgreSQL's indexes take 2,704 bytes, and variables may have more
        op.create_index("uq_tasks_name", "tasks", ["task_id", "provider", sa.text("md5(variables)")], unique=True)
    if last is not None:
        op.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'tasks'"))
        op.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('tasks', :last)").bindparams(last=last))


def _last_key() -> int | None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return None
    return connection.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'")).scalar_one_or_none()


def _deliveries() -> None:
    with op.batch_alter_table("deliveries") as batch:
        for name in ("held_until", "urls_at", "urls_expire_at", "links_expire_at"):
            batch.add_column(sa.Column(name, sa.BigInteger))
        batch.drop_constraint("uq_deliveries_watch_id", type_="unique")
    op.execute(sa.text(_AGE_OF_URLS))
    op.create_index("ix_deliveries_watch_id", "deliveries", ["watch_id"])
    about_the_end = sa.text("(type NOT IN ('result.saved', 'result.unsaved'))")
    _partial_index("uq_deliveries_end", "deliveries", ["watch_id"], about_the_end, unique=True)
    _partial_index("ix_deliveries_held", "deliveries", ["watch_id"], sa.text("held_until IS NOT NULL"))


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("task_key", sa.BigInteger, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_try_at", sa.BigInteger),
        sa.Column("saved_at", sa.BigInteger),
        sa.Column("content_type", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("location", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("url", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_key", "n", name="pk_files"),
        sqlite_with_rowid=False,
    )
    _partial_index("ix_files_unsettled", "files", ["task_key"], sa.text("state = 'pending'"))
    _partial_index("ix_files_saved", "files", ["saved_at"], sa.text("state = 'saved'"))


def _partial_index(
    name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False
) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
