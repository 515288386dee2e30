"""SQL stores behind one contract: SQLite for one daemon, PostgreSQL for many.

    sqlite.py ─── lock.py      one file, one daemon; pragmas    ── hints.py    file trouble in plain words
    postgres.py                one database, many daemons       ── postgres_errors.py  a server's, likewise
        │ opens
    store.py                   SqlStore: the five ports, a line for each call
        ├── writer.py          one thread, group commit        ├── reader.py    two threads that only look
        │                                                      │
        watches.py, tasks.py, deliveries.py, upkeep.py         catalog.py
        └───────── functions of a Connection: rows.py, schema.py; no SQL dialect, no threads, no clock
    migrate.py ── migrations/  schema versions, applied at start (upgrade.py) ── backup.py  copies, also in use
    address.py                 what store.url says               moving.py      from a file to a server
    outage.py                  what the log hears of a store that takes no writes
"""
