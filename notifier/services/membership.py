"""A node among others: joins, beats, claims its part of the shards, hands over what is more, and leaves.

Beats and everything else run beside each other: however long it takes to take up a dead node's tasks, the others hear
from this one. What is to be done comes from the latest roll alone, and after each change from a new one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import assert_never

import structlog

from notifier.domain.lease import BEAT_SECONDS, STEADY_SECONDS, Plan, Pulse, Roll, abandoned, dead, free_since, plan
from notifier.ports import Buried, Chance, Clock, Crew, Holder, Roster, StoreUnavailableError
from notifier.services.wakeup import WakeUp

log = structlog.get_logger()

SOON_SECONDS = 0.1
"""Others' changes come in flocks: one beat finds them all."""
HAND_OVER_AT_ONCE = 32
"""Shards whose tasks rest at the same time, while what was learned of them is saved."""
HAND_OVER_SECONDS = 3.0
"""For saving that: what was not saved by then the next owners learn again."""
AT_A_STRETCH_SECONDS = 1.0
"""When handing over takes longer, the rest waits for the next roll: the dead are to be buried meanwhile."""


class Membership:
    """The tenure of a node on a shared database. `holders` work on what it holds; `told` hear of each roll; `report` is
    what the others are shown of this node (a JSON object); `bereaved` are called when everything was lost."""

    def __init__(
        self,
        *,
        roster: Roster,
        holders: Sequence[Holder],
        name: str,
        version: str,
        clock: Clock,
        chance: Chance,
        crew: Crew,
        report: Callable[[], str] = lambda: "{}",
        told: Sequence[Callable[[Roll], None]] = (),
        bereaved: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._roster = roster
        self._holders = holders
        self._name = name
        self._version = version
        self._clock = clock
        self._chance = chance
        self._crew = crew
        self._report = report
        self._told = told
        self._bereaved = bereaved
        self._wakeup = WakeUp(self._ring, crew=crew, clock=clock)
        self._pulse = Pulse()
        self._node: str | None = None
        self._held: set[int] = set()
        self._roll: Roll | None = None
        self._changed_at = self._sent_at = clock.monotonic()
        self._free: Mapping[int, float] = {}
        self._at_work = asyncio.Lock()
        self._beating = self._lapsed = self._unread = False
        self._closed = True

    # Tenure

    @property
    def node(self) -> str | None:
        return self._node

    def holds(self) -> bool:
        return self._pulse.holds(self._clock.monotonic())

    def lease_left(self) -> float:
        """For how many seconds this holds if no other beat is answered; 0: it does not."""
        return self._pulse.left(self._clock.monotonic())

    @property
    def shards(self) -> Collection[int]:
        """What this node works on."""
        return frozenset(self._held)

    # Start and stop

    async def start(self) -> None:
        """Join, and take up what is nobody's. StoreUnavailableError when the store cannot be reached."""
        await self._join()
        self._roll = await self._ask()
        self._closed = False
        self._wakeup.by(self._clock.monotonic() + BEAT_SECONDS)
        await self._work()

    def wake(self) -> None:
        """Others have come, gone or handed over: look at once."""
        if not self._closed:
            self._wakeup.by(self._clock.monotonic() + SOON_SECONDS)

    async def retire(self, patience: float) -> None:
        """Claim nothing more, and hand over everything: what was not saved within `patience` (seconds) the next owners
        learn again. The node lives on, for its attempts in flight."""
        self._closed = True
        held, saved = len(self._held), True
        try:
            async with self._at_most(patience), self._at_work:
                await self._disown(frozenset(self._held), save=True)
                self._held.clear()
        except TimeoutError:
            saved = False
        await self._roster.retire()
        log.info("shards.handed_over", node=self._node, shards=held, left=0, saved=saved)

    async def leave(self) -> None:
        """Go away in order, after everything was saved. What the store does not take others take over in a while."""
        self._closed = True
        self._wakeup.stop()
        self._pulse.stop()
        await self._roster.leave()
        log.info("node.left", node=self._node)

    # Beats

    def _ring(self) -> None:
        self._wakeup.by(self._clock.monotonic() + (SOON_SECONDS if self._beating else BEAT_SECONDS))
        if self._beating:
            self._wait()
        elif self._node is not None:
            self._crew.spawn(self._beat())
        elif not self._at_work.locked():
            self._crew.spawn(self._work())

    async def _beat(self) -> None:
        self._beating, self._sent_at = True, (sent := self._clock.monotonic())
        try:
            roll = await self._ask()
        except StoreUnavailableError as error:
            self._pulse.miss()
            self._lapse(str(error))
            return
        finally:
            self._beating = False
        if sent >= self._changed_at:
            self._roll = roll
        if not self._at_work.locked():
            await self._work()

    async def _ask(self) -> Roll | None:
        """One beat, and what is learned of it for as long as it is true. None: this node was buried."""
        node, sent = self._node, self._clock.monotonic()
        answer = await self._roster.beat(self._report())
        match answer:
            case Buried():
                self._pulse.stop()
                self._node = None
                if not self._closed:
                    log.warning("node.relieved", node=node, hint="it was not heard of for too long: others took over")
                return None
            case Roll() as roll:
                self._hear(roll, sent)
                return roll
            case _:
                assert_never(answer)

    def _hear(self, roll: Roll, sent: float) -> None:
        self._pulse.beat(sent, self._clock.monotonic(), roll.now)
        if self._lapsed:
            self._lapsed = False
            log.info("node.recovered", node=self._node, shards=len(self._held))
        self._free = free_since(self._free, roll, sent)
        for tell in self._told:
            tell(roll)

    def _wait(self) -> None:
        """A store that says nothing is as good as none."""
        silent_for = self._clock.monotonic() - self._sent_at
        if silent_for > STEADY_SECONDS:
            self._lapse(f"the store has not answered for {silent_for:.0f} s")

    def _lapse(self, error: str) -> None:
        if not self._lapsed and not self.holds():
            self._lapsed = True
            hint = "nothing is polled or attempted here until the store answers; others may take over"
            log.warning("node.lapsed", node=self._node, error=error, hint=hint)

    # Shards

    async def _work(self) -> None:
        """What the latest roll asks for. After a change there is another one soon."""
        async with self._at_work:
            if self._node is None and not self._closed:
                await self._begin_anew()
            roll, self._roll = self._roll, None
            if roll is None or self._closed or not self.holds():
                return
            todo = plan(roll, self._held, abandoned(self._free, self._clock.monotonic()))
            try:
                changed = await self._bury(roll) or await self._follow(todo)
            except StoreUnavailableError as error:  # what of it happened, the next roll says
                log.debug("shards.unsettled", node=self._node, error=str(error))
                changed = True
            if changed:
                self._roll, self._changed_at = None, self._clock.monotonic()
                self.wake()

    async def _bury(self, roll: Roll) -> bool:
        buried = False
        for node in dead(roll) if self._pulse.steady() else ():
            if await self._roster.bury(node.id):
                buried = True
                held = sum(lease.owner == node.id for lease in roll.shards.values())
                log.warning("node.buried", node=node.id, name=node.name, shards=held, by=self._node)
        return buried

    async def _follow(self, todo: Plan) -> bool:
        if todo.lost:
            await self._lose(todo.lost)
        if todo.release:
            await self._hand_over(todo.release)
        if todo.claim:
            await self._claim(todo.claim)
        return todo != Plan()

    async def _lose(self, shards: Collection[int]) -> None:
        self._held.difference_update(shards)
        await self._disown(shards, save=False)
        log.warning("shards.lost", node=self._node, shards=len(shards), left=len(self._held))

    async def _hand_over(self, shards: Sequence[int]) -> None:
        began, held = self._clock.monotonic(), len(self._held)
        for start in range(0, len(shards), HAND_OVER_AT_ONCE):
            some = shards[start : start + HAND_OVER_AT_ONCE]
            self._held.difference_update(some)
            await self._save(some)
            await self._roster.release(some)
            if self._clock.monotonic() - began > AT_A_STRETCH_SECONDS:
                break
        log.info("shards.handed_over", node=self._node, shards=held - len(self._held), left=len(self._held))

    async def _save(self, shards: Collection[int]) -> None:
        try:
            async with self._at_most(HAND_OVER_SECONDS):
                await self._disown(shards, save=True)
        except TimeoutError:
            await self._disown(shards, save=False)
            log.warning("shards.unsaved", node=self._node, shards=len(shards), hint="the next owner asks again")

    async def _claim(self, wanted: Collection[int]) -> None:
        if not (claimed := await self._roster.claim(wanted)):
            return
        try:
            for holder in self._holders:
                await holder.adopt(claimed)
        except StoreUnavailableError as error:  # they are ours already, and asked for again with the next roll
            say = log.debug if self._unread else log.warning
            self._unread = True
            say("shards.unread", node=self._node, shards=len(claimed), error=str(error))
            await self._disown(claimed, save=False)
            raise
        self._unread = False
        self._held.update(claimed)
        log.info("shards.claimed", node=self._node, shards=len(claimed), held=len(self._held))

    async def _disown(self, shards: Collection[int], *, save: bool) -> None:
        if shards:
            await asyncio.gather(*(holder.disown(shards, save=save) for holder in self._holders))

    @asynccontextmanager
    async def _at_most(self, seconds: float) -> AsyncIterator[None]:
        """TimeoutError when it takes longer."""
        limit = asyncio.timeout(None)
        stop_waiting = self._crew.later(seconds, lambda: limit.reschedule(0.0))
        try:
            async with limit:
                yield
        finally:
            stop_waiting()

    # Who this is

    async def _join(self) -> None:
        node = self._chance.new_id("node_")
        await self._roster.join(node, self._name, self._version)
        self._node, self._changed_at = node, self._clock.monotonic()
        log.info("node.joined", node=node, name=self._name)

    async def _begin_anew(self) -> None:
        """Forget what others have now, and join them again."""
        held, self._held = self._held, set()
        await self._disown(held, save=False)
        for tell in self._bereaved:
            tell()
        try:
            await self._join()
        except StoreUnavailableError as error:  # tried again with what would be the next beat
            log.debug("node.unjoined", error=str(error))
        else:
            self.wake()
