"""What went wrong with a PostgreSQL server, and what to do about it, in one line for the log.

Codes are PostgreSQL's (https://www.postgresql.org/docs/current/errcodes-appendix.html); while a connection is made none
is told, and only the words of the answer are there to go by.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import psycopg
from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from notifier.ports import StoreFault, StoreUnavailableError

_BACK = "it works again as soon as the server takes connections"
_CROWDED = "raise max_connections or the role's limit, or close what else is connected; a daemon takes up to eight"
_CREATE = "create it: createdb --owner=ROLE --encoding=UTF8 --template=template0"
_LOCKED = "another program holds a lock on a row or table; it works again as soon as that lets go"
_LOGIN = "correct user and password in the database's URL, or the password in $PGPASSWORD"
_NAME = "check the host's name in the database's URL, and that this machine can look it up"
_PARAMETERS = "correct the parameters behind the ? in the database's URL"
_RIGHTS = "make the role the owner of the database (ALTER DATABASE … OWNER TO …) and of its tables"

_BY_CODE: Mapping[str, tuple[StoreFault, str]] = {  # a whole code, or the two letters of its class
    "08": ("unreachable", _BACK),
    "25006": ("read-only", "it is a standby or set read-only; it works again as soon as it takes writes"),
    "25P03": ("failing", "this process was held up inside a transaction; nothing of it was written"),
    "28": ("failing", _LOGIN),
    "3D000": ("missing", "the database is gone; restore it, or create it anew and restart"),
    "40": ("locked", _LOCKED),
    "42501": ("failing", _RIGHTS),
    "42P01": ("missing", "a table is missing; restore the database, or restart to have an empty one set up"),
    "53100": ("full", "free some space on the server's disk"),
    "53200": ("failing", "the server is out of memory; its log says more"),
    "53300": ("crowded", _CROWDED),
    "55P03": ("locked", _LOCKED),
    "57014": ("failing", "the server took too long; look for what else keeps it busy"),
    "57P": ("unreachable", _BACK),
    "58": ("failing", "the server cannot use its files; its log says more"),
    "XX001": ("damaged", "stop the daemon and restore a backup of the database"),
    "XX002": ("damaged", "stop the daemon, and rebuild the index: REINDEX DATABASE"),
}
_BY_WORDS: Sequence[tuple[re.Pattern[str], StoreFault, str]] = (
    (re.compile(r"too many (clients|connections)|connection slots|no more connections"), "crowded", _CROWDED),
    (re.compile(r"authentication failed|no password supplied|role .* does not exist"), "failing", _LOGIN),
    (re.compile(r"could not translate host name|failed to resolve host"), "unreachable", _NAME),
    (re.compile(r"no pg_hba\.conf entry"), "failing", "allow this host, user and database in the server's pg_hba.conf"),
    (re.compile(r"database .* does not exist"), "missing", _CREATE),
    (re.compile(r"invalid .* value|certificate|does not support SSL"), "failing", _PARAMETERS),
    (re.compile(r"permission denied"), "failing", _RIGHTS),
    (re.compile(r"not permitted to log in"), "failing", "let it: ALTER ROLE … LOGIN"),
)
_COLLISIONS = ("40001", "40P01", "23503", "23505")
_OUR_FAULTS = ("22", "23", "42")
_OUR_WORDS = re.compile(r"number of parameters")
"""Of a statement that the client did not send: the server has said nothing."""
_LONGEST = 300
_QUESTION = re.compile(r"\n\s*Is the server running [^\n]*\?")
"""libpq asks it on a line of its own; the hint of ours answers."""


def explainer(store: str) -> Callable[[Exception], StoreUnavailableError | None]:
    """`store` names the database, without a password."""

    def explain(error: Exception) -> StoreUnavailableError | None:
        code, text = code_of(error), _text_of(error)
        known = _BY_CODE.get(code) or _BY_CODE.get(code[:3]) or _BY_CODE.get(code[:2])
        if known is None and code[:2] in _OUR_FAULTS:
            return None
        fault, hint = known or ("failing", "the server's log says more")
        if not code:
            server = isinstance(_cause_of(error), psycopg.OperationalError | psycopg.InterfaceError)
            if not server or _OUR_WORDS.search(text):
                return None
            fault, hint = _by_words(text)
        return StoreUnavailableError(f"{store}: {text}; {hint}", fault)

    return explain


def collides(error: Exception) -> bool:
    """Whether another node was in the way, so that the same may succeed at the next try: deadlocks, and rows that both
    wanted to make, or that one refers to while the other removes them."""
    return code_of(error) in _COLLISIONS


def passes(error: SQLAlchemyError) -> bool:
    """Whether waiting may help somebody who cannot connect: a wrong password stays wrong."""
    code, text = code_of(error), _text_of(error)
    if code:
        return code[:2] in ("08", "53", "57") or code == "25006"
    return _by_words(text)[0] in ("unreachable", "crowded")


def without_details(context: ExceptionContext) -> None:
    """The server quotes rows that it refuses, and an endpoint's holds secrets: only its first line goes into errors."""
    cause = context.original_exception
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    if primary is not None:
        cause.args = (primary,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(cause).__name__}) {primary}",)


def code_of(error: BaseException) -> str:
    """Five characters; empty where the server told none, as while a connection is made."""
    return getattr(_cause_of(error), "sqlstate", None) or ""


def _cause_of(error: BaseException) -> BaseException:
    return (error.orig if isinstance(error, DBAPIError) else None) or error


def _text_of(error: Exception) -> str:
    cause = _cause_of(error)
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    return " ".join(_QUESTION.sub("", primary or str(cause)).split())[:_LONGEST]


def _by_words(text: str) -> tuple[StoreFault, str]:
    for pattern, fault, hint in _BY_WORDS:
        if pattern.search(text):
            return fault, hint
    return "unreachable", _BACK
