"""Files in a bucket: S3, GCS, Azure and what speaks like them.

Who we are there is found as the library does: in the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
`GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` …) or from the machine's own identity in its cloud.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from notifier.adapters.archive.shelf import ShelfError, name_in, steps
from notifier.ports import ArchiveUnavailableError, FileGoneError

READ_BYTES = 2 * 1024 * 1024
PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes as a part; so many times PARTS_AT_ONCE are in memory."""
PARTS_AT_ONCE = 2
MOST_PARTS = 9_000
"""S3 takes 10,000."""
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
_LONGEST_REASON = 200


class BucketShelf:
    """Implements Shelf. `url` is `s3://bucket/prefix`, `gs://…` or `az://…`; ValueError when that or the environment
    makes no sense to the library."""

    def __init__(self, url: str, threads: Executor) -> None:
        self._threads = threads
        self._url = url.rstrip("/") + "/"
        self._host = urlsplit(url).netloc
        if not self._host:
            raise ValueError("archive.url: it names no bucket (write s3://bucket/prefix)")
        plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
        try:
            self._store = from_url(
                url,
                client_options={"allow_http": plain, "connect_timeout": "10s", "timeout": "2m"},
                # Few: the archivist tries again, and a try has a deadline.
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=30)},
            )
        except (BaseError, OSError) as error:
            raise ValueError(f"archive.url: {_reason(error)}") from None

    async def keep(self, partial: Path, name: str, content_type: str) -> str:
        size = (await asyncio.get_running_loop().run_in_executor(self._threads, partial.stat)).st_size
        try:
            await obstore.put_async(
                self._store,
                "/".join(steps(name)),
                partial,
                attributes={"Content-Type": content_type},
                chunk_size=max(PART_BYTES, size // MOST_PARTS),
                max_concurrency=PARTS_AT_ONCE,
            )
        except (BaseError, OSError) as error:
            raise ShelfError(self._advice(error)) from None
        return self._url + name

    async def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        name = name_in(location, self._url)
        while start < stop:
            chunk = await self._read(name, start, min(start + READ_BYTES, stop))
            start += len(chunk)
            yield chunk

    async def remove(self, location: str) -> None:
        try:
            await obstore.delete_async(self._store, name_in(location, self._url))
        except (FileNotFoundError, FileGoneError):
            return
        except (BaseError, OSError) as error:
            raise ArchiveUnavailableError(self._advice(error)) from None

    async def _read(self, name: str, start: int, stop: int) -> bytes:
        try:
            chunk = bytes(await obstore.get_range_async(self._store, name, start=start, end=stop))
        except FileNotFoundError:
            raise FileGoneError("the file is gone from the archive") from None
        except (BaseError, OSError) as error:
            raise ArchiveUnavailableError(self._advice(error)) from None
        if len(chunk) != stop - start:
            raise ArchiveUnavailableError("the file is shorter than it was when it was saved; somebody changed it")
        return chunk

    def _advice(self, error: Exception) -> str:
        what = f"the bucket {self._host}"
        match error:
            case PermissionDeniedError() | UnauthenticatedError():
                return f"{what} refuses us; look at the daemon's credentials, and whether they may put, get and delete"
            case FileNotFoundError():
                return f"there is no {what.removeprefix('the ')}; make it, or correct archive.url"
            case _:
                return f"{what} does not work: {_reason(error)}; look at its service, and at the daemon's environment"


def _reason(error: Exception) -> str:
    """The end of the first line: the library puts the URL before it, which can hold a token, and a report behind."""
    line = str(error).partition("\n")[0]
    return line.rpartition(" - ")[2].partition(": <")[0].strip()[:_LONGEST_REASON]
