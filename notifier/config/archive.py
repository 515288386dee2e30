"""The section `archive`: where results are saved, and how."""

from importlib.util import find_spec
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import unquote

from pydantic import PlainValidator

from notifier.config import fields
from notifier.config.kinds import DURATION_SHAPE, Concurrency, Duration, Section, optional, setting, shape, text, words
from notifier.config.problem import shown
from notifier.domain.quantity import parse_size

Notify: TypeAlias = Literal["after", "at_once"]

BUCKETS = ("s3", "gs", "az")
_EXTRA = "obstore"
_FORMS = "write file:///var/lib/notifier/results, s3://bucket/prefix, gs://… or az://…"


def size(value: Any) -> int:
    """Bytes."""
    try:
        return parse_size(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)} {error}") from None


def archive_url(value: Any) -> str:
    """`file:///DIR` or a bucket's, without the slash at the end. What could hold a key is not shown."""
    url = fields.text(value)
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in ("file", *BUCKETS) or "?" in rest or "#" in rest or not url.isprintable():
        raise ValueError(f"{shown(value)} is no place for files ({_FORMS})")
    if scheme == "file":
        return f"file://{_folder(value, rest)}"
    if not rest.partition("/")[0] or "@" in rest:
        raise ValueError(f"does not name a bucket ({_FORMS}; its keys come from the environment)")
    if find_spec(_EXTRA) is None:
        raise ValueError("a bucket needs the extra (run: pip install 'webhook-notifier[archive]')")
    return url.rstrip("/")


def _folder(value: Any, path: str) -> str:
    """Absolute, so that no working directory decides where results are."""
    if not path.startswith("/") or not path.strip("/") or ".." in unquote(path).split("/"):
        raise ValueError(f"{shown(value)} is not file:// and an absolute path (write file:///var/lib/notifier/results)")
    return path.rstrip("/")


def folder(value: Any) -> str:
    path = fields.text(value)
    if not path or "\0" in path:
        raise ValueError("is not the path of a folder (write /var/lib/notifier/spool)")
    return path


_SIZE_SHAPE = shape({"type": "string", "pattern": "^[0-9]+([KMG]iB|B)?$"}, {"type": "integer", "minimum": 1})


class ArchiveSettings(Section):
    """Where results are saved before their URLs expire."""

    url: Annotated[str, PlainValidator(archive_url), text(pattern="^(?:file:///|s3://|gs://|az://)")] = setting(
        "file:///DIR, or s3://BUCKET/PREFIX, gs://… or az://… (needs the extra [archive])."
    )
    max_size: Annotated[int, PlainValidator(size), _SIZE_SHAPE] = setting("A larger file is not saved.", "2GiB")
    timeout: Duration = setting("One try of one file.", "30m")
    concurrency: Concurrency = setting("Tasks whose files are saved at once.", 4)
    retention: Annotated[float | None, *optional(fields.duration, DURATION_SHAPE)] = setting(
        "Saved files are deleted after this; by default they are kept.", None
    )
    notify: Annotated[Notify, PlainValidator(fields.one_of(("after", "at_once"))), words("after", "at_once")] = setting(
        "after: task.completed waits for the files; at_once: it goes out, and result.saved follows.", "after"
    )
    wait: Duration = setting("An event waits for its files so long at most.", "10m")
    deadline: Duration = setting("Saving a file is tried for so long.", "24h")
    spool: Annotated[str | None, *optional(folder, text(minLength=1))] = setting(
        "The folder for downloads on their way to a bucket; by default the store's.", None
    )
    link_ttl: Duration = setting("How long a signed link to a saved file is valid; see intake.public_url.", "7d")
