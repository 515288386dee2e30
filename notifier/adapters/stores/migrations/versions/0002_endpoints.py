"""Endpoints that were registered through the intake."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("concurrency", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_endpoints"),
        sa.UniqueConstraint("id", name="uq_endpoints_id"),
        sa.UniqueConstraint("url", name="uq_endpoints_url").ddl_if(dialect="sqlite"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name != "sqlite":  # PostgreSQL's indexes take 2,704 bytes, and a URL may have more
        op.create_index("uq_endpoints_url_digest", "endpoints", [sa.text("md5(url)")], unique=True)
