"""The file of a simulated video: no picture in it, but an MP4 to whoever looks at how it begins. Pure."""

import hashlib
import re
from dataclasses import dataclass

FILM_BYTES = 300 * 1024
CONTENT_TYPE = "video/mp4"
_FILE_TYPE = b"isom\x00\x00\x02\x00isomiso2mp41"
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes to send, the HTTP status that they go with, and the headers that say which they are."""

    status: int
    headers: dict[str, str]
    body: bytes


def film(task_id: str) -> bytes:
    """The same bytes for the same id, others for another: a box `ftyp`, and one `mdat` with noise in it."""
    head = _box(b"ftyp", _FILE_TYPE)
    noise = hashlib.shake_128(task_id.encode()).digest(FILM_BYTES - len(head) - 8)
    return head + _box(b"mdat", noise)


def _box(kind: bytes, content: bytes) -> bytes:
    """As ISO/IEC 14496-12 has them: a length that counts itself, a name, the content."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def part_of(content: bytes, asked: str | None, if_range: str | None) -> Part:
    """What a GET is answered with; `asked` is its Range header, of which one range from a first byte on is heeded."""
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {"accept-ranges": "bytes", "etag": etag}
    found = _RANGE.fullmatch(asked or "")
    if found is None or if_range not in (None, etag):
        return Part(200, headers, content)
    first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
    if first >= len(content):
        return Part(416, headers | {"content-range": f"bytes */{len(content)}"}, b"")
    if last < first:
        return Part(200, headers, content)
    return Part(206, headers | {"content-range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1])
