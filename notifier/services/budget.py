"""The rates of the providers as budgets of all nodes: what this one takes of them, beat by beat."""

from collections.abc import Callable, Mapping

import structlog

from notifier.domain.lease import Roll
from notifier.domain.report import NodeReport, read_report
from notifier.domain.share import Wish, asks_for_more, lowered, wanted
from notifier.ports import Buried, Shares, StoreUnavailableError
from notifier.services.poller import Poller

log = structlog.get_logger()


class Budget:
    """An Observer of the beats. `tempo` says how many polls a second this node makes."""

    def __init__(self, *, shares: Shares, poller: Poller, tempo: Callable[[], float]) -> None:
        self._store = shares
        self._poller = poller
        self._tempo = tempo
        self._held: dict[str, float] = {}
        self.roll: Roll | None = None
        """What the latest beat found; None before the first one, and while this node is buried."""

    def report(self) -> str:
        demand = self._poller.demand()
        return NodeReport(self._poller.followed, self._tempo(), self._poller.lag(), demand).written()

    async def seen(self, roll: Roll) -> None:
        """Lower at once what others need more, and ask for what is missing."""
        self.roll = roll
        wishes = self._wishes(roll)
        if not wishes:
            return
        try:
            taken = await self._store.take(roll.me, wishes)
        except StoreUnavailableError as error:  # what was lowered stays so; the next beat asks again
            log.debug("shares.unknown", error=str(error))
            return
        if not isinstance(taken, Buried) and self.roll is not None:
            self._hold(taken)

    def buried(self) -> None:
        self.roll = None
        self._hold(dict.fromkeys(self._held, 0.0))
        self._held = {}

    def _wishes(self, roll: Roll) -> Mapping[str, Wish]:
        rates, wishes = self._poller.rates(), {}
        reports = {node.id: read_report(node.report) for node in roll.nodes if node.alive or node.id == roll.me}
        for provider in rates.keys() | self._held.keys():
            rate, held = rates.get(provider, 0.0), self._held.get(provider, 0.0)
            want = wanted(rate, {node: report.demand.get(provider, 0.0) for node, report in reports.items()}, roll.me)
            keeps = lowered(held, want)
            if keeps < held:
                self._hold({provider: keeps})
            if keeps < held or asks_for_more(held, want):
                wishes[provider] = Wish(want, rate)
        return wishes

    def _hold(self, shares: Mapping[str, float]) -> None:
        self._held.update(shares)
        for provider, share in shares.items():
            self._poller.share(provider, share)
