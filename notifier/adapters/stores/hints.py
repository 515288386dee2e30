"""What went wrong with a file or its disk, and what to do about it, in one line for the log."""

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from notifier.ports import StoreFault

_SPACE = "free some space on its disk"
_LOCKED = "another program holds its lock; it works again as soon as that lets go"

_OF_SQLITE = {  # https://sqlite.org/rescode.html: the low byte is the kind, the whole its variety
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: _SPACE,
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_READONLY_DBMOVED: "the file was moved or deleted; put it back",
    sqlite3.SQLITE_CANTOPEN: "the file or its folder is missing or not accessible; put it back",
    sqlite3.SQLITE_IOERR: "look into the kernel's log for disk errors",
    sqlite3.SQLITE_IOERR_WRITE: "a quota or limit may be used up; if not, look into the kernel's log for disk errors",
    sqlite3.SQLITE_IOERR_SHMSIZE: _SPACE,
    sqlite3.SQLITE_CORRUPT: "the file is damaged; stop the daemon and restore a backup, or try sqlite3's .recover",
    sqlite3.SQLITE_NOTADB: "the file is damaged, or is no SQLite database; restore a backup or name another store.url",
}
_FAULTS: Mapping[int, StoreFault] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR_SHMSIZE: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_READONLY_DBMOVED: "missing",
    sqlite3.SQLITE_CANTOPEN: "missing",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)

_OF_SYSTEM = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "free some space: this user's quota is used up",
    errno.EROFS: "its file system is mounted read-only: mount it for writing, or name another store.url",
    errno.EIO: "look into the kernel's log for disk errors",
    errno.EMFILE: "raise the limit on open files (LimitNOFILE= in the unit)",
    errno.ENFILE: "raise the system's limit on open files (fs.file-max)",
}
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def of_sqlite(error: BaseException, path: Path) -> str:
    code = _code(error)
    hint = _OF_SQLITE.get(code) or _OF_SQLITE.get(code & 0xFF)
    return f"{path}: {error}" + (f"; {hint}" if hint else "")


def fault(error: BaseException) -> StoreFault:
    """The same in one word, for those who need not know where the file is."""
    code = _code(error)
    return _FAULTS.get(code) or _FAULTS.get(code & 0xFF, "failing")


def no_room(error: BaseException | None) -> bool:
    """Whether a file could not grow. A quota's end is told as a failed write, the disk's as a full one."""
    return _code(error) in _NO_ROOM


def _code(error: BaseException | None) -> int:
    return getattr(error, "sqlite_errorcode", None) or 0


def of_system(error: OSError, writable: Path) -> str:
    """`writable` is what has to be writable for this user, which is the usual reason."""
    if error.errno in _NO_LOCKS:
        hint = "keep the store on a local disk"
    else:
        hint = _OF_SYSTEM.get(error.errno or 0, f"make {writable} writable for this user (id {os.getuid()})")
    return f"{error.strerror}; {hint}"
