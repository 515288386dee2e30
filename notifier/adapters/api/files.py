"""The call that serves a saved file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.caller import caller_of
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import Problem, not_found, unavailable
from notifier.adapters.api.ranges import Part, Unsatisfiable, wanted_part
from notifier.adapters.api.streaming import FileAnswer, Streams
from notifier.adapters.api.watches import find_watch, no_watch, results_of
from notifier.domain.result_file import ResultFile, download_name
from notifier.domain.watch import WatchView

_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII | re.IGNORECASE)
UNKNOWN_TYPE = "application/octet-stream"

_FROM_OUTSIDE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
    "Cache-Control": "private",
    "Accept-Ranges": "bytes",
}
"""A provider made the file: no browser may guess what it is, or run it as a page of ours, and no cache between may
keep it for others."""


@dataclass(frozen=True, slots=True)
class Files:
    parts: ApiParts
    streams: Streams = field(default_factory=Streams)

    async def serve(self, request: Request, watch_id: str, n: str) -> Response:
        view = await find_watch(self.parts.catalog, watch_id, caller_of(request.scope))
        if view is None:
            return no_watch().response()
        file = await self._find(view, n)
        if file is None:
            return _no_file().response()
        problem = _refusal(file)
        return self._answer(request, view, file) if problem is None else problem.response()

    async def _find(self, view: WatchView, n: str) -> ResultFile | None:
        if not _NUMBER.fullmatch(n):
            return None
        results = await results_of(self.parts.catalog, view)
        return next((file for file in results.files if file.n == int(n)), None)

    def _answer(self, request: Request, view: WatchView, file: ResultFile) -> Response:
        size, etag = file.size or 0, f'"{file.sha256}"'
        head = bool(request.scope.get("notifier.head"))
        asked = None if head else request.headers.get("range")  # it means something with GET only
        part = wanted_part(size, etag, asked, request.headers.get("if-range"))
        headers = _FROM_OUTSIDE | {
            "Content-Type": _media_type(file.content_type),
            "Content-Disposition": f'attachment; filename="{_name(view, file)}"',
            "ETag": etag,
        }
        match part:
            case None:
                return self._stream(file, Part(0, size), 200, headers, head=head)
            case Part(start=start, stop=stop):
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
                return self._stream(file, part, 206, headers, head=head)
            case Unsatisfiable():
                detail = f"the file has {size} bytes, and the range begins after them"
                return Problem(416, detail, headers={"Content-Range": f"bytes */{size}"}).response()
            case _:
                assert_never(part)

    def _stream(
        self, file: ResultFile, part: Part, status: int, headers: Mapping[str, str], *, head: bool
    ) -> Response:
        whole = {**headers, "Content-Length": str(part.stop - part.start)}
        if head:
            return Response(status_code=status, headers=whole)
        archive = self.parts.archive()
        if archive is None:
            off = "archiving is switched off, so saved files cannot be read; set `archive` in the configuration again"
            return unavailable(off).response()
        opened = archive.open(file.location or "", part.start, part.stop)
        return FileAnswer(opened, status, whole, streams=self.streams, stopping=self.parts.stopping)


def _media_type(text: str | None) -> str:
    return text if text is not None and _MEDIA_TYPE.fullmatch(text) else UNKNOWN_TYPE


def _name(view: WatchView, file: ResultFile) -> str:
    return download_name(view.watch.task_id, file.n, file.location)


def _refusal(file: ResultFile) -> Problem | None:
    """Why there is nothing to be had of this file; None: it is saved."""
    match file.state:
        case "saved":
            return None
        case "pending":
            why = "" if file.error is None else f" (the last try failed: {file.error})"
            return not_found(f"this file is pending: it is not saved yet{why}; ask again later")
        case "unsaved":
            return not_found(f"this file is unsaved, and no more tries are made: {file.error}")
        case "deleted":
            return Problem(410, "this file was saved, and deleted when its retention was over")
        case _:
            assert_never(file.state)


def _no_file() -> Problem:
    return not_found("this watch has no file of this number; `files` in GET /v1/watches/{id} lists them, from 0")
