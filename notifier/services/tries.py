"""One try to save a file: what it makes of the file, and of what is known of its task."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from notifier.domain.answer import Completed
from notifier.domain.result_file import ResultFile
from notifier.domain.saving import kept, missed, pending, renewed, wait_after
from notifier.domain.task import Task
from notifier.ports import Archive, Chance, Clock, FileMeter, Saved, SaveOrder, Unsaved
from notifier.services.inquiries import Ask
from notifier.services.storehouse import Storehouse, save

FINAL = ("refused", "too_large")
"""No later try can save such a file."""


@dataclass(frozen=True, slots=True)
class SavingPolicy:
    """What a reload can change. `hold` is how long an event waits for its files (None: not at all), `deadline` for how
    long saving is tried; both in seconds."""

    archive: Archive
    concurrency: int
    hold: float | None
    deadline: float


class Tries:
    """`in_use` says whether an archive is still the one to save into."""

    def __init__(
        self,
        storehouse: Storehouse,
        *,
        ask: Ask,
        in_use: Callable[[Archive], bool],
        clock: Clock,
        chance: Chance,
        meter: FileMeter,
    ) -> None:
        self._storehouse = storehouse
        self._ask = ask
        self._in_use = in_use
        self._clock = clock
        self._chance = chance
        self._meter = meter

    async def make(self, policy: SavingPolicy, task: Task, file: ResultFile) -> tuple[Task, ResultFile]:
        """The task, with fresh URLs if it was asked for them, and the file after the try; nothing of it is kept yet."""
        started = self._clock.monotonic()
        outcome = await save(policy.archive, SaveOrder(file.url, file.name, task.provider))
        if self._in_use(policy.archive):
            self._storehouse.heed(outcome, started)
        if isinstance(outcome, Saved):
            self._meter.fetched("saved", outcome.size)
            return task, kept(file, **asdict(outcome), now=self._clock.now())
        self._meter.fetched(outcome.reason)
        if outcome.reason == "expired":
            task = await self._renew(task)
        return task, self._missed(policy, task, file, outcome)

    async def _renew(self, task: Task) -> Task:
        """The task with the URLs that its provider names now, if it still does."""
        answer = await self._ask(task)
        return renewed(task, answer, self._clock.now()) if isinstance(answer, Completed) else task

    def _missed(self, policy: SavingPolicy, task: Task, file: ResultFile, outcome: Unsaved) -> ResultFile:
        """What a failed try makes of a file. The first fresh URL is tried at once, later ones as everything else: they
        may all be dead. Another archive is tried at once, too."""
        url = next((one.url for one in pending(task) if one.n == file.n), file.url)
        at_once = (url != file.url and file.tries == 0) or not self._in_use(policy.archive)
        return missed(
            replace(file, url=url),
            outcome.message,
            now=self._clock.now(),
            give_up=outcome.reason in FINAL or self._age(task) >= policy.deadline,
            wait=0.0 if at_once else wait_after(file.tries + 1, self._chance.spread()),
        )

    def _age(self, task: Task) -> float:
        """Seconds since the end, as far as the clock can be trusted: giving up cannot be undone."""
        return 0.0 if task.end is None else (self._clock.settled() - task.end.at).total_seconds()
