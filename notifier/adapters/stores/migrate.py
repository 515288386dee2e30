"""Bring a database to this program's schema, at start and in the caller's one transaction."""

import logging
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from notifier.adapters.stores.errors import StoreTooNewError

_SCRIPTS = Path(__file__).parent / "migrations"
VERSIONS = "alembic_version"
"""The table with one row that says which schema a database has."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A schema that has to be upgraded, `present` None for a new file; `newest` is what it is upgraded to."""

    present: str | None
    newest: str


def examine(connection: Connection, *, store: str, way_back: str) -> Outdated | None:
    """What has to be upgraded, told by reading only; None: nothing. Errors name the `store`, and its `way_back` to an
    older version."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces itself in several lines at every start
    scripts = ScriptDirectory(str(_SCRIPTS))
    known = [script.revision for script in scripts.walk_revisions()]  # the newest first
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise StoreTooNewError(
            f"{store} was written by a newer Notifier (schema {present}; this one knows {known[0]} and older): "
            f"upgrade Notifier, or {way_back}"
        )
    return None if present == known[0] else Outdated(present, known[0])


def migrate(connection: Connection, *, store: str, way_back: str) -> bool:
    """Upgrade to the newest version; True if anything was to be done."""
    if examine(connection, store=store, way_back=way_back) is None:
        return False
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))  # its values are interpolated
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True
