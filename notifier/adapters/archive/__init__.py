"""Saved files: downloads that are resumed and verified, kept in a folder or a bucket.

    fetch.py     one file's way here, leg by leg        version.py   whether two answers speak of the same file
    partial.py   the file on its way                    shelf.py     where it is kept: folder.py or bucket.py
    archive.py   all of it behind the Archive port
"""

from importlib.util import find_spec

from notifier.adapters.archive.archive import FileArchive, Homes, bucket_archive, folder_archive

__all__ = ["FileArchive", "Homes", "bucket_archive", "folder_archive", "missing"]


def missing(url: str) -> str | None:
    """What must be installed for this `archive.url`, with the command; None if all is there."""
    if url.startswith("file:") or find_spec("obstore") is not None:
        return None
    return "a bucket takes the extra `archive`: pip install 'webhook-notifier[archive]'"
