"""A file is saved whole and as it is, whatever happens on its way; or it is said why not."""

import asyncio
import gzip
import hashlib
import stat
from pathlib import Path

import pytest

from notifier.adapters.archive.fetch import MOST_CHANGES, MOST_STRIKES
from notifier.ports import Saved, SaveOrder, Unsaved
from tests.contract.archive.conftest import kept
from tests.contract.archive.servers import MIB, content, honest, in_turn, saying

FILE = content(5 * MIB + 17)
NAME = "videos/vid_1/wch_1-0"


def order(server, name: str = NAME) -> SaveOrder:
    return SaveOrder(url=server.url, name=name, provider="videos")


def saved(root: Path, data: bytes, kind: str = "video/mp4", extension: str = "mp4") -> Saved:
    location = (root / f"{NAME}.{extension}").as_uri()
    return Saved(location, len(data), hashlib.sha256(data).hexdigest(), kind)


def holds_only(root: Path, data: bytes) -> bool:
    """One file, and nothing half-done beside it."""
    (path,) = kept(root)
    return (root / path).read_bytes() == data


async def test_a_file_is_kept_as_it_came(serve, archive, root):
    """Bytes, length and hash are the file's; name and type come from us and from the content, not from the remote."""
    server = await serve(honest(FILE, Content_Type="text/html", Content_Disposition='attachment; filename="x.exe"'))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert holds_only(root, FILE)
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_others_of_the_machine_may_not_read_it(serve, archive, root):
    """Owner and group: it may be what somebody paid for."""
    server = await serve(honest(FILE))
    await (await archive()).save(order(server))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (root / NAME).with_suffix(".mp4").parents[:2]]
    assert all(mode & 0o007 == 0 for mode in modes)
    assert stat.S_IMODE((root / f"{NAME}.mp4").stat().st_mode) & 0o137 == 0


async def test_a_later_save_takes_the_place_of_the_file(serve, archive, root):
    """A try whose result was not kept, because of a crash after it, is made again."""
    built = await archive()
    await built.save(order(await serve(honest(content(1000, seed=1)))))
    await built.save(order(await serve(honest(FILE))))
    assert holds_only(root, FILE)


async def test_a_break_is_resumed_where_it_happened(serve, archive, root, waits):
    """Every byte is fetched once; If-Range says which file is meant. After a good leg there is no long wait."""
    server = await serve(honest(FILE, limit=MIB))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert [request.start for request in server.requests] == [None, *(MIB * leg for leg in range(1, 6))]
    assert {request.headers["if-range"] for request in server.requests[1:]} == {'"v1"'}
    assert server.sent == len(FILE)
    assert max(waits) < 1


async def test_the_date_or_the_length_says_that_it_is_the_same_file(serve, archive, root):
    """Without a strong entity tag; a weak one holds for other bytes too, so it is not used."""
    dated = "Sun, 22 Nov 2026 10:00:00 GMT"
    for marks, condition in (({"Last_Modified": dated}, dated), ({"ETag": 'W/"v1"'}, None)):
        server = await serve(honest(FILE, etag=None, limit=3 * MIB, **marks))
        built = await archive()
        if condition:  # `honest` compares If-Range with its entity tag, and it has none
            server.behave = in_turn(honest(FILE, etag=None, limit=3 * MIB, **marks), honest(FILE, etag=dated))
        result = await built.save(order(server))
        assert result == saved(root, FILE)
        assert server.requests[1].headers.get("if-range") == condition
        assert server.requests[1].start == 3 * MIB


async def test_a_server_that_ignores_ranges_is_asked_from_the_start(serve, archive, root):
    """Its 200 is the whole file again: nothing of the first part stays."""
    whole = saying("200 OK", FILE, Content_Length=len(FILE))
    server = await serve(in_turn(saying("200 OK", FILE[: 2 * MIB], Content_Length=len(FILE)), whole))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert holds_only(root, FILE)
    assert server.requests[1].start == 2 * MIB


async def test_a_try_without_progress_ends(serve, archive, root, waits):
    """A server that ignores ranges and always breaks at the same place gets no further; it is not hammered either."""
    server = await serve(saying("200 OK", FILE[:MIB], Content_Length=len(FILE)))
    result = await (await archive()).save(order(server))
    assert result == Unsaved(
        "broken",
        f"127.0.0.1:{server.port}: the body of the answer broke off or is malformed; "
        f"{MIB} of {len(FILE)} bytes came, and {MOST_STRIKES} tries in a row got no further",
    )
    assert len(server.requests) == 1 + MOST_STRIKES
    assert kept(root) == []
    assert waits == sorted(waits)


async def test_a_server_that_drops_every_connection_is_left_alone_longer_and_longer(serve, archive, waits):
    """Also when each brings a little."""
    server = await serve(honest(content(20_000), limit=1000))
    assert isinstance(await (await archive()).save(order(server)), Saved)
    assert waits[-1] == pytest.approx(10)
    assert waits == sorted(waits)


@pytest.mark.parametrize("file", [FILE, FILE[:2000]])
@pytest.mark.parametrize("lie", [1000, -1000])
async def test_a_lie_about_the_length_is_never_taken_for_a_whole_file(serve, archive, root, file, lie):
    """Too short or too long: either way what came is not what was announced."""
    server = await serve(saying("200 OK", file, Content_Length=len(file) + lie))
    result = await (await archive()).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"
    assert kept(root) == []


@pytest.mark.parametrize("new", [content(5 * MIB + 17, seed=2), content(4 * MIB, seed=2)])
@pytest.mark.parametrize("heeds", [True, False], ids=["If-Range", "no If-Range"])
async def test_a_file_that_changes_in_flight_is_fetched_anew(serve, archive, root, new, heeds):
    """Never half of the one and half of the other: also when the server sends a part of the new one after the old."""
    after = honest(new, etag='"v2"')

    async def careless(request, answer):
        request.headers.pop("if-range", None)
        await after(request, answer)

    server = await serve(in_turn(honest(FILE, limit=2 * MIB), after if heeds else careless))
    assert await (await archive()).save(order(server)) == saved(root, new)
    assert holds_only(root, new)


async def test_a_file_that_keeps_changing_ends_the_try(serve, archive, root):
    """It is most likely still being written."""
    versions = [honest(content(3 * MIB, seed=n), etag=f'"v{n}"', limit=(n + 1) * 1000) for n in range(20)]
    server = await serve(in_turn(*versions))
    result = await (await archive()).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"
    assert result.message.endswith("the file changes while it is fetched")
    assert len(server.requests) == MOST_CHANGES + 2
    assert kept(root) == []


@pytest.mark.parametrize(
    "part",
    [
        {"Content_Range": f"bytes 0-{len(FILE) - 1}/{len(FILE)}"},
        {"Content_Range": f"bytes {MIB + 1}-{len(FILE) - 1}/{len(FILE)}"},
        {"Content_Range": f"bytes {MIB}-{len(FILE) - 1}/*"},
        {"Content_Range": "bytes 9-1/x"},
        {},
    ],
)
async def test_a_part_that_is_not_the_rest_is_not_used(serve, archive, root, part):
    """Another place, another length, or no word about it: the file is fetched anew."""
    wrong = saying("206 Partial Content", FILE, Content_Length=len(FILE), ETag='"v1"', **part)
    server = await serve(in_turn(honest(FILE, limit=MIB), wrong, honest(FILE)))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert holds_only(root, FILE)
    assert server.requests[2].start is None


async def test_a_part_that_nobody_asked_for_is_not_taken_for_the_file(serve, archive):
    """Even if it says that it is all of it."""
    everything = f"bytes 0-{len(FILE) - 1}/{len(FILE)}"
    server = await serve(saying("206 Partial Content", FILE, Content_Length=len(FILE), Content_Range=everything))
    result = await (await archive()).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"


async def test_without_any_mark_a_broken_file_is_fetched_anew(serve, archive, root):
    """In chunks, without an entity tag or a date: nothing would prove that a part belongs to what is here."""

    async def chunks(answer, *, end):
        await answer.head("200 OK", Transfer_Encoding="chunked")
        for start in range(0, len(FILE), MIB):
            piece = FILE[start : start + MIB]
            await answer.body(b"%x\r\n%b\r\n" % (len(piece), piece))
        await answer.body(b"0\r\n\r\n" if end else b"")

    breaks, ends = (lambda _, answer, end=end: chunks(answer, end=end) for end in (False, True))
    server = await serve(in_turn(breaks, ends))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert [request.start for request in server.requests] == [None, None]


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Lost", "410 Gone"])
@pytest.mark.parametrize("begun", [True, False])
async def test_an_expired_url_is_said_at_once(serve, archive, root, status, begun):
    """Also in the middle of a file: only a fresh URL helps."""
    dead = saying(status, b"<Error>planted</Error>")
    server = await serve(in_turn(honest(FILE, limit=MIB), dead) if begun else dead)
    result = await (await archive()).save(order(server))
    where = f"127.0.0.1:{server.port}"
    assert result == Unsaved("expired", f"{where}: HTTP {status[:3]}: the URL has expired, or was never good")
    assert len(server.requests) == 1 + begun
    assert kept(root) == []


async def test_a_server_in_trouble_is_waited_for_as_it_asks(serve, archive, root, waits):
    """Retry-After, up to a minute, within the same try."""
    busy = saying("503 Busy", Retry_After=7, Content_Length=0)
    server = await serve(in_turn(honest(FILE, limit=MIB), busy, honest(FILE)))
    assert await (await archive()).save(order(server)) == saved(root, FILE)
    assert waits[1] == pytest.approx(7)
    server = await serve(saying("429 Slow Down", Retry_After=86_400, Content_Length=0))
    assert isinstance(await (await archive()).save(order(server)), Unsaved)
    assert max(waits) == pytest.approx(60)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "402 Pay", "418 Teapot"])
async def test_any_other_answer_ends_the_try(serve, archive, status):
    """At once: the same request would get the same answer."""
    server = await serve(saying(status))
    message = f"127.0.0.1:{server.port}: HTTP {status[:3]} instead of the file"
    assert await (await archive()).save(order(server)) == Unsaved("broken", message)
    assert len(server.requests) == 1


async def test_an_announced_size_beyond_the_limit_is_not_fetched(serve, archive, root):
    """Not a byte of the body is waited for."""
    server = await serve(saying("200 OK", b"", Content_Length=10 * 1024 * MIB))
    result = await (await archive(max_size=MIB)).save(order(server))
    size = 10 * 1024 * MIB
    message = f"127.0.0.1:{server.port}: the file has {size} bytes; archive.max_size allows {MIB}"
    assert result == Unsaved("too_large", message)
    assert kept(root) == []


async def test_a_file_without_end_is_left_at_the_limit(serve, archive, root):
    """Whatever it announced; of what is sent beyond, only what buffers hold is lost."""

    async def endless(_, answer):
        await answer.head("200 OK")
        while True:
            await answer.body(bytes(MIB))

    server = await serve(endless)
    result = await (await archive(max_size=8 * MIB)).save(order(server))
    assert result == Unsaved(
        "too_large", f"127.0.0.1:{server.port}: the file goes on; archive.max_size allows {8 * MIB}"
    )
    assert server.sent < 32 * MIB
    assert kept(root) == []


async def test_a_file_of_the_largest_size_is_kept(serve, archive, root):
    """The limit itself is allowed."""
    server = await serve(honest(FILE))
    assert await (await archive(max_size=len(FILE))).save(order(server)) == saved(root, FILE)


async def test_a_stall_is_a_break(serve, archive, root):
    """No byte for so long: the connection is given up, and the file resumed."""

    async def stalls(request, answer):
        await answer.head("200 OK", Content_Length=len(FILE), ETag='"v1"')
        await answer.body(FILE[:MIB])
        await asyncio.sleep(3600)

    server = await serve(in_turn(stalls, honest(FILE)))
    assert await (await archive(stall=0.3)).save(order(server)) == saved(root, FILE)
    assert server.requests[1].start == MIB


async def test_a_server_that_says_nothing_is_given_up(serve, archive):
    """Neither headers nor a body: strikes like any other."""

    async def silent(request, answer):
        await asyncio.sleep(3600)

    server = await serve(silent)
    result = await (await archive(stall=0.2)).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.message.startswith(f"127.0.0.1:{server.port}: nothing came for 0.2 s; 0 of an unknown number of ")


async def test_a_drip_ends_at_the_deadline(serve, archive, root):
    """Each byte comes in time, the file does not."""

    async def drips(request, answer):
        await answer.head("200 OK", Content_Length=len(FILE), ETag='"v1"')
        while True:
            await answer.body(b"x")
            await asyncio.sleep(0.01)

    server = await serve(drips)
    result = await (await archive(timeout=0.5)).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"
    assert result.message.startswith("the file did not come within 0.5 s (archive.timeout): ")
    assert kept(root) == []


async def test_a_compressed_answer_is_kept_as_it_came(serve, archive, root):
    """It was not asked for. What is inside may be a thousand times as large, and its ranges and length are of the
    compressed bytes; so it is kept and named as what it is."""
    bomb = gzip.compress(bytes(20 * MIB))
    server = await serve(honest(bomb, Content_Encoding="gzip"))
    result = await (await archive(max_size=MIB)).save(order(server))
    assert result == saved(root, bomb, "application/gzip", "gz")
    assert holds_only(root, bomb)


async def test_an_empty_file_is_a_file(serve, archive, root):
    """What it is good for is not ours to judge."""
    server = await serve(honest(b""))
    result = await (await archive()).save(order(server))
    assert result == saved(root, b"", "application/octet-stream", "bin")
    assert holds_only(root, b"")


async def test_a_body_that_is_mostly_framing_is_given_up(serve, archive, root):
    """Chunks of one byte cost a thousand times their size; they are not taken up to `max_size`."""

    async def tiny(_, answer):
        await answer.head("200 OK", Transfer_Encoding="chunked")
        while True:
            await answer.body(b"1\r\nx\r\n" * 10_000)

    server = await serve(tiny)
    result = await (await archive()).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"
    assert server.sent < 32 * MIB


async def test_a_cancelled_save_leaves_nothing(serve, archive, root):
    """At the stop: no half file, and no thread that still writes one."""

    async def stalls(request, answer):
        await answer.head("200 OK", Content_Length=len(FILE))
        await answer.body(FILE[: 2 * MIB])
        await asyncio.sleep(3600)

    server = await serve(stalls)
    saving = asyncio.create_task((await archive()).save(order(server)))
    async with asyncio.timeout(20):
        while not any((root / path).stat().st_size for path in kept(root)):
            await asyncio.sleep(0.01)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert kept(root) == []


async def test_many_at_once_do_not_mix(serve, archive, root):
    """Files, hashes and names stay together."""
    built = await archive()
    files = [content(700_000 + number, seed=number) for number in range(12)]
    servers = [await serve(honest(file, limit=200_000)) for file in files]
    results = await asyncio.gather(*(built.save(order(s, f"videos/t/wch-{n}")) for n, s in enumerate(servers)))
    for number, (file, result) in enumerate(zip(files, results, strict=True)):
        assert isinstance(result, Saved)
        assert result.sha256 == hashlib.sha256(file).hexdigest()
        assert (root / f"videos/t/wch-{number}.mp4").read_bytes() == file
