"""Problem documents (RFC 9457): how every refusal is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""When to come back while a stop is under way or the store is down: a restart takes about this long."""

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""The phrases of RFC 9110, section 15, and RFC 6585; those of Python's library differ between its versions."""

_IN_FRAGMENT = "!$&'()*+,;=:@~?"
"""What a URI fragment may hold unencoded beside letters, digits and `-._` (RFC 3986, section 3.5)."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a request; `pointer` is the member it is about, None for none in particular."""

    detail: str
    pointer: str | None = None

    def document(self) -> dict[str, Any]:
        return {"detail": self.detail} | ({} if self.pointer is None else {"pointer": self.pointer})


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal. `detail` is for people, `complaints` for programs too, the first one first."""

    status: int
    detail: str
    complaints: Sequence[Complaint] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The members of RFC 9457, section 3.1, `pointer` to the first wrong member, and all `errors`."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        pointer = next((one.pointer for one in self.complaints if one.pointer is not None), None)
        if pointer is not None:
            found["pointer"] = pointer
        if self.complaints:
            found["errors"] = [one.document() for one in self.complaints]
        return found

    def response(self) -> Response:
        return Response(encode(self.document()), self.status, dict(self.headers), MEDIA_TYPE)


def invalid(complaints: Sequence[Complaint]) -> Problem:
    """A request that can be read and cannot be done (422), for these reasons."""
    first = complaints[0]
    name = "" if first.pointer in (None, "#") else f"{(first.pointer or '').rpartition('/')[2]}: "
    more = f" (and {len(complaints) - 1} more under errors)" if len(complaints) > 1 else ""
    return Problem(422, f"{name}{first.detail}{more}", tuple(complaints))


def not_found(detail: str) -> Problem:
    return Problem(404, detail)


def unavailable(detail: str) -> Problem:
    """Not now (503): the same request may well succeed later."""
    return Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def pointer(*path: str | int) -> str:
    """A JSON Pointer as a URI fragment (RFC 6901, section 6): `#/watches/3/callback_url`, `#` for the whole."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "#" + "".join("/" + quote(part, safe=_IN_FRAGMENT, errors="replace") for part in escaped)


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")
