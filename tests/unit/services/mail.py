"""Deliveries, and what receivers say to them."""

from notifier.domain.delivery import Answered, Unanswered
from tests.fakes import START
from tests.unit.services.world import HOOK, World

OTHER = "https://other.example/hook"
OK = Answered(204, None, "", 0.1)
DOWN = Unanswered("connection refused", 0.1)
HUNG = Unanswered("the receiver did not answer within 15s", 15.0, timed_out=True)


def answered(http_status: int, retry_after: float | None = None) -> Answered:
    return Answered(http_status, retry_after, "body", 0.1)


def times(world: World, url: str = HOOK) -> list[float]:
    """When attempts were made at a URL, in seconds since the world began."""
    return [(post.at - START).total_seconds() for post in world.sender.to(url)]


async def send(world: World, *receipts: Answered | Unanswered, url: str = HOOK, number: int = 1) -> None:
    """Owe one delivery to a receiver that says this."""
    world.sender.script(url, *receipts)
    world.dispatcher.accept([await world.owed(url, number=number)])
    await world.crew.run()


async def owe_many(world: World, count: int, url: str = HOOK, first: int = 1) -> None:
    """Owe so many deliveries to one receiver at once."""
    world.dispatcher.accept([await world.owed(url, number=first + number) for number in range(count)])
    await world.crew.run()
