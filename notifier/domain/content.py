"""What a file is, told by its first bytes: names and headers that come with it may say anything."""

import re
from dataclasses import dataclass

HEAD_BYTES = 1024
"""So many first bytes are enough."""


@dataclass(frozen=True, slots=True)
class Content:
    """`extension` is without its dot."""

    type: str
    extension: str


UNKNOWN = Content("application/octet-stream", "bin")

_BRANDS = {
    b"avif": Content("image/avif", "avif"),
    b"avis": Content("image/avif", "avif"),
    b"heic": Content("image/heic", "heic"),
    b"heix": Content("image/heic", "heic"),
    b"mif1": Content("image/heif", "heif"),
    b"M4A ": Content("audio/mp4", "m4a"),
    b"M4B ": Content("audio/mp4", "m4a"),
    b"qt  ": Content("video/quicktime", "mov"),
    b"3gp4": Content("video/3gpp", "3gp"),
    b"3gp5": Content("video/3gpp", "3gp"),
}
"""The major brand of an ISO base media file (ISO/IEC 14496-12, section 4.3); every other one is taken for MP4."""

_RIFF = {
    b"WAVE": Content("audio/wav", "wav"),
    b"AVI ": Content("video/x-msvideo", "avi"),
    b"WEBP": Content("image/webp", "webp"),
}

_SIGNS: tuple[tuple[int, bytes, Content], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", Content("image/png", "png")),
    (0, b"\xff\xd8\xff", Content("image/jpeg", "jpg")),
    (0, b"GIF8", Content("image/gif", "gif")),
    (0, b"BM", Content("image/bmp", "bmp")),
    (0, b"II*\x00", Content("image/tiff", "tif")),
    (0, b"MM\x00*", Content("image/tiff", "tif")),
    (0, b"8BPS", Content("image/vnd.adobe.photoshop", "psd")),
    (0, b"\x76\x2f\x31\x01", Content("image/x-exr", "exr")),
    (0, b"fLaC", Content("audio/flac", "flac")),
    (0, b"OggS", Content("audio/ogg", "ogg")),
    (0, b"ID3", Content("audio/mpeg", "mp3")),
    (0, b"FLV\x01", Content("video/x-flv", "flv")),
    (0, b"\x00\x00\x01\xba", Content("video/mpeg", "mpg")),
    (0, b"glTF", Content("model/gltf-binary", "glb")),
    (0, b"ply\n", Content("model/ply", "ply")),
    (0, b"Kaydara FBX Binary", Content("application/x-fbx", "fbx")),
    (0, b"%PDF-", Content("application/pdf", "pdf")),
    (0, b"PK\x03\x04", Content("application/zip", "zip")),
    (0, b"PK\x05\x06", Content("application/zip", "zip")),
    (0, b"\x1f\x8b", Content("application/gzip", "gz")),
    (0, b"\x28\xb5\x2f\xfd", Content("application/zstd", "zst")),
    (0, b"7z\xbc\xaf\x27\x1c", Content("application/x-7z-compressed", "7z")),
    (0, b"PAR1", Content("application/vnd.apache.parquet", "parquet")),
    (257, b"ustar", Content("application/x-tar", "tar")),
)

_MP3_FRAME = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]", re.DOTALL)
"""Eleven bits of ones, then a layer and a bit rate that exist (ISO/IEC 11172-3, section 2.4.2.3)."""
_COMMENTS = r"(?:(?><!--.*?-->)\s*)*+"
_MARKUP = (
    (rf"(?:<\?xml[^>]*>\s*)?{_COMMENTS}(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]", Content("image/svg+xml", "svg")),
    (rf"{_COMMENTS}<(?:!doctype\s+html|html|head|body)[\s>]", Content("text/html", "html")),
    (r"<\?xml\s", Content("application/xml", "xml")),
    (r'\{\s*["}]|\[\s*[\[{"\]\d-]', Content("application/json", "json")),
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def recognise(head: bytes) -> Content:
    """What the first HEAD_BYTES (fewer when the file is shorter) say; UNKNOWN when they say nothing."""
    return _media(head) or _signed(head) or _text(head) or UNKNOWN


def _media(head: bytes) -> Content | None:
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], Content("video/mp4", "mp4"))
    if head[4:12] in {b"moov\x00\x00\x00l", b"wide\x00\x00\x00\x08"}:  # QuickTime files from before there were brands
        return _BRANDS[b"qt  "]
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1aE\xdf\xa3"):
        webm = b"webm" in head[:64]  # the document type is among the first elements (RFC 9559, section 4.5)
        return Content("video/webm", "webm") if webm else Content("video/x-matroska", "mkv")
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return Content("video/mp2t", "ts")
    return None


def _signed(head: bytes) -> Content | None:
    for start, sign, content in _SIGNS:
        if head.startswith(sign, start):
            return content
    return Content("audio/mpeg", "mp3") if _MP3_FRAME.match(head) else None


def _text(head: bytes) -> Content | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8-sig")  # the end of the head cut a character
    if not text.strip() or _NO_TEXT.search(text):
        return None
    text = text.lstrip()
    for pattern, content in _MARKUP:
        if re.match(pattern, text, re.DOTALL | re.IGNORECASE):
            return content
    return Content("text/plain", "txt")
