"""Several daemons on one database, with a provider and a receiver that see what all of them do."""

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.acceptance.harness import DaemonProcess, Hook, ReceiverServer, wait_until
from tests.acceptance.postgres_server import PASSWORD
from tests.acceptance.provider_server import ProviderServer

INTERVAL = 1.0
RATE = 30
"""Polls a second that the provider `rated` allows; its tasks want half as many again."""
BUSY = [f"busy-{number}" for number in range(60)]
RATED = [f"rated-{number}" for number in range(45)]
RELIEVED_WITHIN = 20.0
"""Seconds from the loss of a node until others poll its tasks, as promised."""
MACHINE_SECONDS = 4.0
"""What a machine that runs three daemons, a database and other tests on two cores may add to a bound."""
ENDPOINT = "/endpoint"
"""The one path that is told of several tasks."""
Result = TypeVar("Result")


class Cluster:
    """Nodes `a`, `b` and `c`, and 105 tasks that never end: those of `videos` are polled each second. `roundabout` is
    the URL by which `c` reaches the store, if it is not the others'."""

    def __init__(
        self,
        folder: Path,
        store_url: str,
        provider: ProviderServer,
        receiver: ReceiverServer,
        *,
        roundabout: str | None = None,
    ) -> None:
        self.provider, self.receiver = provider, receiver
        urls = {"a": store_url, "b": store_url, "c": roundabout or store_url}
        self.nodes = {name: self._node(folder / name, name, url) for name, url in urls.items()}
        self.alone = 0.0
        """Polls a second of the tasks of `videos` while there was one node."""

    def _node(self, folder: Path, name: str, store_url: str) -> DaemonProcess:
        folder.mkdir()
        quick = {"preset": "videos", "api_key": f"key-{name}", "interval": INTERVAL, "min_interval": "100ms"}
        config = {
            "store": {"url": store_url},
            "node": {"name": name},
            "providers": {
                "videos": quick | {"base_url": f"{self.provider.url}/videos", "rate": "1000/s"},
                "rated": quick | {"base_url": f"{self.provider.url}/rated", "rate": f"{RATE}/s"},
            },
            "webhooks": {"retry": ["500ms"] * 40, "per_host": 50},
            "log": {"level": "info"},
        }
        return DaemonProcess(folder, config)

    def __getitem__(self, name: str) -> DaemonProcess:
        return self.nodes[name]

    def start(self) -> None:
        """One node first, to see what it polls alone; then the others."""
        self["a"].start()
        self.register("a", BUSY)
        self.register("a", RATED, provider="rated")
        wait_until(lambda: self.polled(BUSY), "all tasks are polled by the one node")
        time.sleep(INTERVAL)  # first polls are spread
        self.alone = self.polls_a_second(3 * INTERVAL)
        self.start_all()

    def start_all(self, names: Iterable[str] = "abc") -> None:
        """At the same time."""
        missing = [self[name] for name in names if not self[name].running]
        for node in missing:
            node.start(ready=False)
        for node in missing:
            wait_until(node.ready, f"node {node.config['node']['name']} is ready; see {node.log}")

    def kill(self) -> None:
        for node in self.nodes.values():
            node.kill()

    def register(self, name: str, task_ids: Sequence[str], *, provider: str = "videos") -> list[dict[str, Any]]:
        """At this node; the watches."""
        body = [
            {"task_id": task_id, "callback_url": f"{self.receiver.url}/{task_id}", "provider": provider}
            for task_id in task_ids
        ]
        status, answer = self[name].call("POST", "/v1/watches/batch", {"watches": body})
        assert status == 200, answer
        assert {result["status"] for result in answer["results"]} <= {200, 201}, answer
        return [result["watch"] for result in answer["results"]]

    def polls_a_second(self, seconds: float, task_ids: Sequence[str] = BUSY) -> float:
        """Measured from now on."""
        began, wanted = time.monotonic(), set(task_ids)
        time.sleep(seconds)
        ended = time.monotonic()
        return sum(poll.task_id in wanted for poll in self.provider.since(began, ended)) / (ended - began)

    def polled(self, task_ids: Iterable[str], at: float = 0.0, *, by: str = "abc") -> bool:
        """Whether each was polled by one of these nodes after this moment."""
        found = {poll.task_id for poll in self.provider.since(at) if poll.node in by}
        return found.issuperset(task_ids)

    def owners(self, seconds: float = 1.5 * INTERVAL) -> dict[str, list[str]]:
        """Who polled each of the busy tasks lately."""
        return {task: nodes for task, nodes in self.provider.askers(time.monotonic() - seconds).items() if task in BUSY}

    def of(self, name: str) -> list[str]:
        """The busy tasks that this node polls."""
        return [task for task, nodes in self.owners().items() if nodes == [name]]

    def spread(self, names: str = "abc") -> bool:
        """Whether each node polls a fair number of tasks, each task one node only."""
        owners = self.owners()
        if set(owners) != set(BUSY) or any(len(nodes) != 1 for nodes in owners.values()):
            return False
        counts = Counter(nodes[0] for nodes in owners.values())
        return set(counts) == set(names) and max(counts.values()) <= 0.6 * len(BUSY)

    def settle(self, names: str = "abc") -> None:
        """These run, and everything that moves when a node comes or goes has moved."""
        self.start_all(names)
        wait_until(lambda: self.spread(names), f"tasks are spread over {names}; polled by {self.owners()}")

    def gaps(self, since: float) -> Iterator[float]:
        """Seconds between two polls of a busy task, until now."""
        last = dict.fromkeys(BUSY, since)
        for poll in self.provider.since(since, provider="videos"):
            if poll.task_id in last:
                yield poll.at - last[poll.task_id]
                last[poll.task_id] = poll.at
        yield from (time.monotonic() - at for at in last.values())

    def settled(self, event: str) -> bool:
        """Waits until all nodes say that it is delivered."""

        def said() -> bool:
            answers = [self[name].call("GET", f"/v1/deliveries/{event}")[1] for name in "abc"]
            return {answer["state"] for answer in answers} == {"delivered"}

        return bool(wait_until(said, f"{event} is delivered"))

    def told(self, task_ids: Iterable[str]) -> bool:
        """Whether each callback was answered with success."""
        return {hook.path for hook in self.receiver.delivered()}.issuperset(f"/{task_id}" for task_id in task_ids)

    def attempts(self, name: str) -> int:
        """How many ends that this node was told of are being told to their receivers."""
        busy = {path for path, count in list(self.receiver.busy.items()) if count}
        return sum(poll.node == name and f"/{task}" in busy for task, poll in list(self.provider.told.items()))

    def check(self) -> None:
        """What holds at every moment, whatever was done to the nodes."""
        overlaps = [(one.task_id, one.node, other.node) for one, other in self.provider.overlaps]
        assert not overlaps, f"polled by two at a time: {overlaps}"
        rated = [poll.at for poll in self.provider.since(0.0, provider="rated")]
        assert in_ten_seconds(rated, time.monotonic())[1] <= RATE * 10 * 1.1
        for path, hooks in by_path(hook for hook in self.receiver.hooks if hook.path != ENDPOINT).items():
            assert len({(hook.id, hook.body) for hook in hooks}) == 1, f"{path} was told two different things"
        for node in self.nodes.values():
            assert PASSWORD not in node.log.read_text(), "the store's password is logged"
            faults = [line for line in node.lines() if line["event"] in ("daemon.fault", "request.failed", "text")]
            assert not faults, f"{node.log} has faults of ours"


def by_path(hooks: Iterable[Hook]) -> dict[str, list[Hook]]:
    found = defaultdict[str, list[Hook]](list)
    for hook in hooks:
        found[hook.path].append(hook)
    return found


def in_ten_seconds(times: Sequence[float], until: float) -> tuple[int, int]:
    """The smallest and the largest number of these moments (oldest first) in any ten seconds that begin with one of
    them; those that are over by `until` count for the smallest."""
    counts = [(at, bisect_left(times, at + 10.0) - number) for number, at in enumerate(times)]
    return min(count for at, count in counts if at + 10.0 <= until), max(count for _, count in counts)


def at_once(*calls: Callable[[], Result]) -> list[Result]:
    """What each returns, all begun at the same moment."""
    barrier, results = threading.Barrier(len(calls)), dict[int, Result]()

    def run(number: int, work: Callable[[], Result]) -> None:
        barrier.wait(10)
        results[number] = work()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[number] for number in range(len(calls))]
