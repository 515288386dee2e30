"""The store's files are for their owner only: they hold the signing secrets of registered endpoints."""

import stat
from pathlib import Path

import structlog

log = structlog.get_logger()

OWNER_ONLY = 0o600


def keep_private(path: Path) -> None:
    """Take away what others may do with the database and its log, which SQLite creates with the database's own mode.
    A file that somebody else owns stays as it is, and is named."""
    for file in (path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")):
        try:
            if stat.S_IMODE(file.stat().st_mode) & ~OWNER_ONLY:
                file.chmod(OWNER_ONLY)
        except FileNotFoundError:
            continue  # the log is there only while it is needed
        except OSError as error:
            hint = f"others can read the signing secrets in it; give it to the daemon's user, and: chmod 600 {file}"
            log.warning("store.exposed", file=str(file), error=error.strerror, hint=hint)
