"""What SQLite's planner is told of a store, so that it reads a full one as well as a new one."""

from sqlalchemy import Connection

_SHAPE = (  # table, index, "rows, and of these for one value of the first column, of the first two …"
    ("tasks", "sqlite_autoindex_tasks_1", "1000000 1 1 1"),
    ("watches", "sqlite_autoindex_watches_1", "1000000 1"),
    ("watches", "ix_watches_task_key", "1000000 2"),
    ("watches", "ix_watches_state_seq", "1000000 20000 1"),
    ("watches", "uq_watches_promise", "1000000 2 1"),
    ("deliveries", "sqlite_autoindex_deliveries_1", "1000000 1"),
    ("deliveries", "ix_deliveries_watch_id", "1000000 1"),
    ("deliveries", "uq_deliveries_end", "1000000 1"),
    ("deliveries", "ix_deliveries_held", "1000 1"),
    ("deliveries", "ix_deliveries_state_seq", "1000000 20000 1"),
    ("attempts", "attempts", "3000000 3 1"),
    ("files", "files", "1000000 1 1"),
    ("files", "ix_files_unsettled", "1000 1"),
    ("files", "ix_files_saved", "1000000 1"),
)


def advise(connection: Connection) -> None:
    """Tell SQLite's planner the shape of a full store: without figures it takes a state to be as rare as an id.

    Writing them by hand is a documented way (https://sqlite.org/optoverview.html, "Manual Control Of Query Plans Using
    SQLITE_STAT Tables"); measuring them with ANALYZE on an empty file would say nothing.
    """
    connection.exec_driver_sql("ANALYZE pulse")  # makes the table of figures without reading a full store
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    connection.exec_driver_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", list(_SHAPE))
