"""Metrics of a node among others. Each node has its own: whoever collects them names it, and no label holds a name that
people choose."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from notifier.adapters.metrics import PREFIX


class NodeMetrics:
    """`registry` is the daemon's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, text, labels, registry=registry)

        self._nodes = gauge("nodes", "Nodes on this database that are alive, this one included.")
        self._unowned = gauge("unowned_shards", "Shards that are nobody's: nobody polls their tasks.")
        self._shards = gauge("node_shards", "Shards whose tasks this node polls, of 256.")
        self._tasks = gauge("node_tasks", "Tasks that this node polls.")
        self._lease = gauge("node_lease_seconds", "How long this node may go on without the database; 0: it rests.")
        self._shares = gauge("provider_share", "Polls a second that this node may make.", "provider")

    def observe(self, *, alive: int, unowned: int, shards: int, tasks: int, lease_seconds: float) -> None:
        """What is looked up at each scrape."""
        self._nodes.set(alive)
        self._unowned.set(unowned)
        self._shards.set(shards)
        self._tasks.set(tasks)
        self._lease.set(lease_seconds)

    def shares(self, rates: Mapping[str, float]) -> None:
        """Of every provider, in polls a second; one that is not there any more has no series."""
        self._shares.clear()
        for provider, rate in rates.items():
            self._shares.labels(provider).set(rate)
