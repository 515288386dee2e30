"""What a file is, told by its first bytes."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.content import HEAD_BYTES, UNKNOWN, Content, recognise
from tests.thoroughness import examples

FTYP = b"\x00\x00\x00\x20ftyp"


@pytest.mark.parametrize(
    ("head", "kind", "extension"),
    [
        (FTYP + b"isom\x00\x00\x02\x00isomiso2avc1mp41", "video/mp4", "mp4"),
        (FTYP + b"mp42", "video/mp4", "mp4"),
        (FTYP + b"qt  ", "video/quicktime", "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x08", "video/quicktime", "mov"),
        (FTYP + b"M4A ", "audio/mp4", "m4a"),
        (FTYP + b"avif", "image/avif", "avif"),
        (FTYP + b"heic", "image/heic", "heic"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "video/webm", "webm"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "video/x-matroska", "mkv"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav", "wav"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp", "webp"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "video/x-msvideo", "avi"),
        ((b"G" + b"\xff" * 187) * 3, "video/mp2t", "ts"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png", "png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", "jpg"),
        (b"GIF89a", "image/gif", "gif"),
        (b"ID3\x04\x00", "audio/mpeg", "mp3"),
        (b"\xff\xfb\x90\x64\x00", "audio/mpeg", "mp3"),
        (b"fLaC\x00", "audio/flac", "flac"),
        (b"OggS\x00", "audio/ogg", "ogg"),
        (b"glTF\x02\x00\x00\x00", "model/gltf-binary", "glb"),
        (b"%PDF-1.7", "application/pdf", "pdf"),
        (b"PK\x03\x04\x14\x00", "application/zip", "zip"),
        (b"\x1f\x8b\x08\x00", "application/gzip", "gz"),
        (b"\x00" * 257 + b"ustar\x0000", "application/x-tar", "tar"),
        (b'{"a": 1}', "application/json", "json"),
        (b'\xef\xbb\xbf \n[ {"a": 1} ]', "application/json", "json"),
        (b"{}", "application/json", "json"),
        (b"[1, 2]", "application/json", "json"),
        (b'<?xml version="1.0"?>\n<!-- a --> <svg xmlns="x">', "image/svg+xml", "svg"),
        (b'<?xml version="1.0"?><Error><Code>ExpiredToken', "application/xml", "xml"),
        (b"\n<!DOCTYPE HTML><title>expired</title>", "text/html", "html"),
        (b"<!-- a --><html>", "text/html", "html"),
        (b"[INFO] done", "text/plain", "txt"),
        ("Grüße\n".encode(), "text/plain", "txt"),
    ],
)
def test_what_services_make_is_recognised(head, kind, extension):
    """By its content alone, with the type and the extension that others expect."""
    assert recognise(head) == Content(kind, extension)


@pytest.mark.parametrize(
    "head",
    [b"", b"   \n", b"\x00\x01\x02", b"\xff\xff\xff\xff", b"a\x00b", b"\xc3\x28", b"RIFF\0\0\0\0ABCD", b"\xef\xbb\xbf"],
)
def test_what_is_not_known_is_not_guessed(head):
    """It is still kept, as bytes."""
    assert recognise(head) == UNKNOWN


def test_a_text_whose_head_ends_within_a_character_is_text():
    """Where the head ends says nothing about the file; a file that ends so is no text."""
    text = "ä".encode() * HEAD_BYTES
    assert recognise(b"x" + text[: HEAD_BYTES - 1]) == Content("text/plain", "txt")
    assert recognise(text[:99]) == UNKNOWN


@given(st.binary(max_size=HEAD_BYTES) | st.text(max_size=HEAD_BYTES).map(str.encode))
@settings(max_examples=examples(50))
def test_any_bytes_are_something(head):
    """Nothing raises, and extensions are safe in a file's name."""
    assert recognise(head).extension.isalnum()


@pytest.mark.parametrize("piece", [b"<!---->", b"<!--", b"<?xml>", b"{ ", b"<!-- -->\n"])
def test_no_head_takes_long(piece):
    """A pattern that tries every split of a thousand bytes would."""
    began = time.process_time()
    recognise((piece * HEAD_BYTES)[:HEAD_BYTES])
    assert time.process_time() - began < 0.5
