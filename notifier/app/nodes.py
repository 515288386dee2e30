"""What a node tells of itself and of those with which it shares a database."""

from notifier.adapters.api import Cluster
from notifier.adapters.node_metrics import NodeMetrics
from notifier.domain.report import standings, unowned
from notifier.ports import Clock
from notifier.services.budget import Budget
from notifier.services.membership import Membership
from notifier.services.poller import Poller


class NodeBoard:
    def __init__(
        self, *, membership: Membership, budget: Budget, poller: Poller, metrics: NodeMetrics, clock: Clock
    ) -> None:
        self._membership = membership
        self._budget = budget
        self._poller = poller
        self._clock = clock
        self._metrics = metrics

    def cluster(self) -> Cluster:
        roll = self._budget.roll
        if roll is None:
            return Cluster((), 0, 0.0)
        return Cluster(standings(roll), unowned(roll), self._clock.monotonic() - self._budget.seen_at)

    def observe(self) -> None:
        """Bring the metrics up to date."""
        known = self.cluster()
        self._metrics.observe(
            alive=sum(node.alive for node in known.nodes),
            unowned=known.unowned,
            shards=len(self._membership.shards),
            tasks=len(self._poller.followed),
            lease_seconds=self._membership.lease_left(),
        )
        self._metrics.shares(self._poller.shares())
