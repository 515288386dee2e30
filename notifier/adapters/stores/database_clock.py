"""The time as the database has it, which is the same for every node. PostgreSQL's only."""

NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
"""SQL: microseconds since the epoch, as the tables hold points in time; moving on within a transaction."""

STARTED = "(extract(epoch from statement_timestamp()) * 1000000)::bigint"
"""SQL: the same when the statement began. Only by what stays the same while it runs is an index searched."""
