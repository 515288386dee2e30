"""Many nodes on one database: who lives, who owns which shard of the tasks, who attempts which delivery, and what each
may take of a provider's rate."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SHARDS = 256
_ONLY_WHERE_MANY_NODES_ARE = (
    "CREATE INDEX ix_tasks_shard ON tasks ((key % 256)) WHERE state = 'watching'",
    """CREATE INDEX ix_deliveries_free ON deliveries (next_attempt_at)
       WHERE state = 'pending' AND held_until IS NULL AND leased_by IS NULL""",
)


def upgrade() -> None:
    op.add_column("tasks", sa.Column("touched_at", sa.BigInteger))
    op.add_column("deliveries", sa.Column("leased_by", sa.Text))
    _partial_index("ix_tasks_touched_at", "tasks", "touched_at")
    _partial_index("ix_deliveries_leased_by", "deliveries", "leased_by")
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("alive_until", sa.BigInteger, nullable=False),
        sa.Column("leaving", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
    )
    shards = op.create_table(
        "shards",
        sa.Column("n", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.PrimaryKeyConstraint("n", name="pk_shards"),
    )
    op.create_table(
        "shares",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "node", name="pk_shares"),
    )
    if op.get_bind().dialect.name != "sqlite":
        op.bulk_insert(shards, [{"n": n, "fence": 0, "owner": None} for n in range(_SHARDS)])
        for statement in _ONLY_WHERE_MANY_NODES_ARE:
            op.execute(statement)


def _partial_index(name: str, table: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
