"""Where requests end, and how much of all bodies together is held."""

import asyncio
from typing import Any

import pytest

from notifier.adapters.api import framing
from tests.contract.api.world import HOOK, World, assert_problem

JSON = {"content-type": "application/json"}


class Upload:
    """A POST whose body the test sends piece by piece."""

    def __init__(self, world: World, path: str = "/v1/watches") -> None:
        self._pieces: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: list[Any] = []
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        scope["client"] = None
        self.task = asyncio.create_task(world.app(scope, self._pieces.get, self._send))

    async def _send(self, message: Any) -> None:
        self._sent.append(message)

    async def piece(self, body: bytes, *, more: bool = True) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})
        for _ in range(5):
            await asyncio.sleep(0)

    async def status(self) -> int:
        await asyncio.wait_for(self.task, 5)
        return int(self._sent[0]["status"])


async def test_two_lengths_are_400(world: World) -> None:
    """A proxy before us might take the other one, and see another request behind it than we do."""
    headers = JSON | {"content-length": "2", "transfer-encoding": "chunked"}
    answer = await world.call("POST", "/v1/watches", content=b"{}", headers=headers)
    assert "Transfer-Encoding" in assert_problem(answer, 400)["detail"]
    assert answer.headers["connection"] == "close"


async def test_bodies_together_have_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The piece that passes it is refused with 503 at once; others go on, and what is done makes room."""
    monkeypatch.setattr(framing, "MOST_BEGINNINGS", 100)
    first, second = Upload(world), Upload(world)
    await first.piece(b" " * 60)
    await second.piece(b" " * 40)
    third = Upload(world)
    await third.piece(b" ")
    assert await third.status() == 503
    await first.piece(b"{}")
    assert await first.status() == 503
    await second.piece(b"{}", more=False)
    assert await second.status() == 422
    for _ in range(3):
        answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
        assert answer.status_code in (200, 201)


async def test_stalled_batches_refuse_only_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than any other call may be waits for its own room; the others find theirs free. What a batch held
    is given back when it is over."""
    monkeypatch.setattr(framing, "MOST_BYTES", 100)
    monkeypatch.setattr(framing, "BEGINNING", 200)
    batches = [Upload(world, "/v1/watches/batch") for _ in range(2)]
    for batch, size in zip(batches, (300, 201), strict=True):
        await batch.piece(b" " * size)
    assert await batches[1].status() == 503
    answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
    assert answer.status_code == 201
    await batches[0].piece(b"{}", more=False)
    assert await batches[0].status() == 503
    another = Upload(world, "/v1/watches/batch")
    await another.piece(b" " * 298)
    await another.piece(b"{}", more=False)
    assert await another.status() == 422


async def test_who_is_refused_is_told_when_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was done."""
    monkeypatch.setattr(framing, "MOST_BEGINNINGS", 1)
    answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert world.store.watches == {}
