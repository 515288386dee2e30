"""What is told of the daemon when its store is in trouble."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from notifier.adapters.api import Cluster, Readiness
from notifier.adapters.metrics import Metrics
from notifier.adapters.node_metrics import NodeMetrics
from notifier.app import status
from notifier.app.nodes import NodeBoard
from notifier.app.status import StatusBoard
from notifier.domain.lease import Lease, NodeRow, Roll
from notifier.ports import Counts, Space
from tests.fakes import START, FakeClock


class FakeStore:
    """With `hangs` set, nobody learns how much room there is until it is cleared."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def counts(self) -> Counts:
        return Counts()

    async def space(self) -> Space:
        self.asked += 1
        await self.answers.wait()
        return Space(4096, 1000 * self.asked)


async def look(*, stopping: bool) -> Readiness:
    return Readiness(ready=not stopping, checks={}, paused={}, poll_lag=0.0)


async def test_a_disk_that_hangs_does_not_hold_up_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known last is told, the disk is asked once only, and its answer counts when it comes."""
    monkeypatch.setattr(status, "STORE_ANSWERS_SECONDS", 0.02)
    store, clock = FakeStore(), FakeClock()
    parts: Any = (store, SimpleNamespace(look=look), SimpleNamespace(open_circuits=0))
    board = StatusBoard(*parts, Metrics("1.0", clock.monotonic), clock)
    assert (await board.status(stopping=False)).space == Space(4096, 1000)
    store.answers.clear()
    for _ in range(3):
        assert (await board.status(stopping=False)).space == Space(4096, 1000)
        assert b"store_free_bytes 1000.0" in (await board.render_metrics(stopping=False))[0]
    assert store.asked == 2
    store.answers.set()
    assert (await board.status(stopping=False)).space == Space(4096, 2000)


async def test_a_node_among_others_shows_them_in_status_and_metrics() -> None:
    """Who is alive, what is nobody's, how old that is, and what this one holds and may take."""
    clock = FakeClock()
    metrics = Metrics("1.0", clock.monotonic)
    budget: Any = SimpleNamespace(roll=None, seen_at=clock.monotonic())
    membership: Any = SimpleNamespace(shards={1, 2}, lease_left=lambda: 6.5)
    poller: Any = SimpleNamespace(followed=range(7), shares=lambda: {"videos": 2.5})
    nodes = NodeBoard(
        membership=membership, budget=budget, poller=poller, metrics=NodeMetrics(metrics.registry), clock=clock
    )
    parts: Any = (FakeStore(), SimpleNamespace(look=look), SimpleNamespace(open_circuits=0))
    board = StatusBoard(*parts, metrics, clock, nodes=nodes)
    assert (await board.status(stopping=False)).cluster == Cluster((), 0, 0.0)
    rows = (NodeRow("n_1", "one", "1", clock.now(), clock.now(), True), NodeRow("n_2", "", "", START, START, False))
    budget.roll = Roll("n_1", clock.now(), rows, {1: Lease("n_1", 1), 2: Lease("n_1", 1), 3: Lease(None, 0)})
    clock.move_to(clock.monotonic() + 3)
    shown = (await board.status(stopping=False)).cluster
    assert shown is not None
    assert ([node.this for node in shown.nodes], shown.unowned, shown.age) == ([True, False], 1, 3.0)
    text = (await board.render_metrics(stopping=False))[0].decode()
    for line in (
        "nodes 1.0",
        "unowned_shards 1.0",
        "node_shards 2.0",
        "node_tasks 7.0",
        "node_lease_seconds 6.5",
        'provider_share{provider="videos"} 2.5',
    ):
        assert f"\nnotifier_{line}\n" in text


async def test_a_daemon_alone_has_no_figures_of_nodes() -> None:
    """An alert on them must not see a node without shards."""
    clock = FakeClock()
    parts: Any = (FakeStore(), SimpleNamespace(look=look), SimpleNamespace(open_circuits=0))
    board = StatusBoard(*parts, Metrics("1.0", clock.monotonic), clock)
    assert (await board.status(stopping=False)).cluster is None
    assert b"node" not in (await board.render_metrics(stopping=False))[0]
