"""The rates of the providers as budgets of all nodes: what this one takes of them, beat by beat."""

from collections.abc import Callable, Mapping

import structlog

from notifier.domain.lease import Roll
from notifier.domain.report import NodeReport, read_report
from notifier.domain.share import Wish, asks_for_more, lowered, wanted
from notifier.ports import Buried, Clock, Crew, Shares, StoreUnavailableError
from notifier.services.poller import Poller

log = structlog.get_logger()


class Budget:
    """Membership asks for `report()` before each beat and tells `seen()` what it found; it calls `bereaved()` when this
    node was buried. `tempo` says how many polls a second this node makes."""

    def __init__(self, *, shares: Shares, poller: Poller, crew: Crew, clock: Clock, tempo: Callable[[], float]) -> None:
        self._store = shares
        self._poller = poller
        self._crew = crew
        self._clock = clock
        self._tempo = tempo
        self._held: dict[str, float] = {}
        self._untold: set[str] = set()
        """Whose shares were lowered, while the others are not known to have heard of it."""
        self._asking = False
        self._node: str | None = None
        self.roll: Roll | None = None
        """What the latest beat found; None before the first one."""
        self.seen_at = clock.monotonic()
        """When that was (monotonic)."""

    def report(self) -> str:
        demand = self._poller.demand()
        return NodeReport(len(self._poller.followed), self._tempo(), self._poller.lag(), demand).written()

    def seen(self, roll: Roll) -> None:
        """Lower at once what others need more, and ask for what is missing."""
        self.roll, self.seen_at, self._node = roll, self._clock.monotonic(), roll.me
        wishes = self._wishes(roll)
        if wishes and not self._asking:
            self._asking = True
            self._crew.spawn(self._take(roll.me, wishes))

    def bereaved(self) -> None:
        """What this node held is others'. Under its next id it begins with nothing."""
        self._node = None
        self._hold(dict.fromkeys(self._held, 0.0))
        self._held, self._untold = {}, set()

    async def _take(self, node: str, wishes: Mapping[str, Wish]) -> None:
        try:
            taken = await self._store.take(node, wishes)
        except StoreUnavailableError as error:  # what was lowered stays so; the next beat asks again
            log.debug("shares.unknown", error=str(error))
            return
        finally:
            self._asking = False
        if not isinstance(taken, Buried) and self._node == node:
            self._untold -= taken.keys()
            self._hold(taken)

    def _wishes(self, roll: Roll) -> Mapping[str, Wish]:
        rates, wishes = self._poller.rates(), {}
        reports = {node.id: read_report(node.report) for node in roll.nodes if node.alive or node.id == roll.me}
        for provider in rates.keys() | self._held.keys():
            rate, held = rates.get(provider, 0.0), self._held.get(provider, 0.0)
            want = wanted(rate, {node: report.demand.get(provider, 0.0) for node, report in reports.items()}, roll.me)
            keeps = lowered(held, want)
            if keeps < held:
                self._hold({provider: keeps})
                self._untold.add(provider)
            if provider in self._untold or asks_for_more(held, want):
                wishes[provider] = Wish(want, rate)
        return wishes

    def _hold(self, shares: Mapping[str, float]) -> None:
        self._held.update(shares)
        for provider, share in shares.items():
            self._poller.share(provider, share)
