"""Deliveries that are nobody's: taken by whichever node is free."""

from notifier.ports import DeliveryPool, StoreUnavailableError, Tenure
from notifier.services.dispatcher import Dispatcher

MOST_AT_ONCE = 1000


class Claims:
    """Looks after what a node's memory cannot know: what others gave up, were too busy for, or left behind."""

    def __init__(self, *, pool: DeliveryPool, dispatcher: Dispatcher, tenure: Tenure) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._tenure = tenure

    async def claim(self) -> None:
        """Take what is due and nobody's, as far as there is room. Called about once a second."""
        node, vacancy = self._tenure.node, self._dispatcher.vacancy()
        most = min(vacancy.room, MOST_AT_ONCE)
        if node is None or most == 0 or not self._tenure.holds():
            return
        try:
            claimed = await self._pool.claim(most, vacancy.crowded)
        except StoreUnavailableError:  # told by whoever cannot go on without the store
            return
        if self._tenure.node == node:  # else they are another life's, and will be nobody's again
            self._dispatcher.take(claimed)

    async def recover(self) -> None:
        """Take what is this node's without its knowing: the answer to a write got lost. What was the deliveries of
        nodes that are gone is nobody's from now on. Called about every ten seconds."""
        node = self._tenure.node
        if node is None or not self._tenure.holds():
            return
        try:
            strays = await self._pool.strays()
            if self._tenure.node == node:
                self._dispatcher.take(strays)
            await self._pool.free_orphans()
        except StoreUnavailableError:  # as above
            return

    async def give_up(self) -> None:
        """At the stop: what only waits here, for its turn or its next attempt, is for others. Called again and again
        while attempts are under way, for each of them may leave a delivery that waits for another one."""
        try:
            await self._pool.give_up(self._dispatcher.under_way())
        except StoreUnavailableError:  # as above
            return
