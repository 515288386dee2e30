"""Whatever is asked of a store in whatever order, restarts in between: it answers and holds what the model does."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.domain.delivery import redeliver
from notifier.domain.saving import kept, missed, pending, planned, with_file
from notifier.domain.task import Task
from notifier.domain.watch import Registration
from notifier.ports import Page
from tests.contract.stores.building import BACKENDS, at, completed, delivered, failed, given_up, registration, tried
from tests.contract.stores.model import USUAL, Model, name_of, retell, tell

NAMES = [
    ("videos", "vid_1", "{}"),
    ("videos", "vid_1", '{"region":"eu"}'),
    ("videos", "vid_2", "{}"),
    ("images", "vid_1", "{}"),
]
URLS = ["https://app.example.com/hook", "https://app.example.com/deaf"]
EVERYTHING = Page(1000)
EXAMPLES = {"sqlite": 10, "postgresql": 4}
"""Of the same rules; a server takes three times as long for each."""

wishes = st.builds(
    lambda name, url, interval, deadline: {
        "provider": name[0],
        "task": name[1],
        "variables": name[2],
        "url": url,
        "interval": interval,
        "deadline": deadline,
    },
    st.sampled_from(NAMES),
    st.sampled_from(URLS),
    st.sampled_from([None, 5.0, 25.0, 90.0]),
    st.sampled_from([40.0, 400.0]),
)
numbers = st.integers(0, 1000)
ends = st.sampled_from([completed, failed, given_up])
news = st.sampled_from(["none", "polls", "end"])
outcomes = st.sampled_from([{}, {"state": "exhausted", "reason": "schedule", "next_attempt_at": None}, None])


class StoreMachine(RuleBasedStateMachine):
    make_backend: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.backend = self.make_backend()
        self.model = Model()
        self.heard: dict[int, Task] = {}  # every task that was ever to be polled, as the daemon may still know it
        self.tried: dict[str, Any] = {}  # every delivery that was ever owed, as the daemon may still know it
        self.saved: dict[int, Task] = {}  # ended tasks with pending files, as the daemon may still know them
        self.seconds = 0.0
        self.ids = itertools.count(1)

    def ask(self, call):
        return self.loop.run_until_complete(call)

    @property
    def now(self):
        return at(self.seconds)

    @initialize()
    def open(self) -> None:
        self.store = self.ask(self.backend.open())
        self.ask(self.store.watched(USUAL))

    def teardown(self) -> None:
        self.ask(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    # What can happen

    @rule(seconds=st.sampled_from([1.0, 30.0, 300.0]))
    def wait(self, seconds) -> None:
        self.seconds += seconds

    @rule()
    def restart(self) -> None:
        self.ask(self.store.close())
        self.open()

    def registrations(self, asked, source) -> list[Registration]:
        return [
            registration(next(self.ids), usual_interval=USUAL[wish["provider"]], source=source, **wish)
            for wish in asked
        ]

    @rule(asked=st.lists(wishes, min_size=1, max_size=4))
    def register(self, asked) -> None:
        wanted = self.registrations(asked, "intake")
        results = self.ask(self.store.register(wanted, self.now, tell))
        for one, result in zip(wanted, results, strict=True):
            watch, created, owed = self.model.register(one, self.now, lambda key=result.view.task_key: key)
            assert (result.view.watch, result.created) == (watch, created)
            assert list(result.owed) == ([] if owed is None else [owed])
            self.hear(owed=result.owed)
        for result in results:
            name = name_of(result.view.watch)
            watching = result.created and result.view.watch.state == "watching"
            assert result.task == (self.model.task(name) if watching else None)
            self.hear(tasks=[result.task] if result.task else [])

    def known(self, news):
        """What the daemon knows of a task: nothing, polls that the store has not heard of, or an end it has not."""

        def known(key):
            task = self.heard.get(key)
            if task is None or news == "none":
                return None
            polled = replace(task, polls=task.polls + 1, status=f"known at {self.seconds}")
            return completed(polled, self.seconds) if news == "end" else polled

        return known

    @rule(
        asked=st.lists(wishes, max_size=3, unique_by=itemgetter("provider", "task", "variables", "url")),
        news=news,
    )
    def declare(self, asked, news) -> None:
        wanted = self.registrations(asked, "config")
        known = self.known(news)
        before, watched = dict(self.model.watches), {name: self.model.task(name) for name in NAMES}
        declared = self.ask(self.store.declare(wanted, self.now, tell, known))
        keys = {name_of(task): task.key for task in declared.tasks}
        self.model.declare(wanted, self.now, lambda one: keys[name_of(one)], known)
        after = self.model.watches
        was = [each for each in before if before[each].state == "watching"]
        assert {watch.id: watch for watch in declared.added} == {each: after[each] for each in after.keys() - before}
        assert declared.cancelled == sum(after[each].state == "cancelled" for each in was)
        assert declared.changed <= sum(after[each].state == "watching" for each in was)
        touched = {task.key: task for task in declared.tasks}
        for name in NAMES:
            task = self.model.task(name)
            if task is not None and task != watched[name]:
                assert touched[task.key] == task
        gone = {task.key for name, task in watched.items() if task is not None and self.model.task(name) is None}
        assert set(declared.dropped) == gone
        self.hear(tasks=declared.tasks, owed=declared.owed)

    def hear(self, tasks=(), owed=()) -> None:
        self.heard |= {task.key: task for task in tasks}
        self.tried |= {delivery.id: delivery for delivery in owed}

    @precondition(lambda self: self.model.watches)
    @rule(number=numbers, news=news)
    def cancel(self, number, news) -> None:
        watch = pick(self.model.watches, number)
        name = name_of(watch)
        self.model.cancel(watch, self.now, self.known(news))
        cancelled = self.ask(self.store.cancel(watch.id, self.now, self.known(news)))
        if watch.state != "watching":
            assert (cancelled.task_key, cancelled.task) == (None, None)
        elif (left := self.model.task(name)) is not None:
            assert (cancelled.task_key, cancelled.task) == (None, left)
        else:
            assert (cancelled.task_key, cancelled.task) == (self.model.tasks[name].known.key, None)

    @precondition(lambda self: self.heard)
    @rule(number=numbers, polls=st.integers(1, 9), misses=st.integers(0, 2))
    def save(self, number, polls, misses) -> None:
        task = replace(pick(self.heard, number), polls=polls, status=f"at {polls}", misses=misses)
        self.model.save(task)
        self.ask(self.store.save([task]))
        self.hear(tasks=[task])

    @precondition(lambda self: self.heard)
    @rule(number=numbers, how=ends, saved=st.booleans())
    def end(self, number, how, saved) -> None:
        """`saved`: its files are to be."""
        task = how(pick(self.heard, number), self.seconds)
        task = planned(task) if saved else task
        owed = list(self.ask(self.store.end(task, tell)))
        assert owed == self.model.end(task)
        self.hear(owed=owed)

    @precondition(lambda self: self.heard)
    @rule(number=numbers)
    def expire(self, number) -> None:
        task = pick(self.heard, number)
        expired = self.ask(self.store.expire(task, self.now, tell))
        assert list(expired.owed) == self.model.expire(task, self.now)
        left = self.model.task(name_of(task))
        if left is None or left.key != task.key:
            assert expired.task is None
        else:
            assert expired.task == task.on_terms_of(left)
        self.hear(owed=expired.owed)

    @precondition(lambda self: self.heard)
    @rule(number=numbers, what=st.sampled_from(["saved", "tried", "given up"]), stale=st.booleans())
    def keep(self, number, what, stale) -> None:
        """What a try made of the first file that is pending; `stale`: as somebody knows it who tried before."""
        key = pick(self.heard, number).key
        task = self.ask(self.store.result(key))
        known = self.model.result(key)
        assert (task and (task.end, task.status, task.polls)) == (known and (known.end, known.status, known.polls))
        if stale:
            task = self.saved.get(key, task)
        if task is None or not pending(task):
            return
        self.saved[key] = task
        (file, *_) = pending(task)
        match what:
            case "saved":
                file = kept(file, location="file:///a", size=1, sha256="ab", content_type="video/mp4", now=self.now)
            case _:
                file = missed(file, "HTTP 500", now=self.now, give_up=what == "given up", wait=5.0)
        told = list(self.ask(self.store.keep(with_file(task, file), {file.n}, self.now, retell)))
        assert told == self.model.keep(with_file(task, file), self.now)
        self.hear(owed=told)

    @precondition(lambda self: self.tried)
    @rule(number=numbers)
    def release(self, number) -> None:
        delivery_id = pick(self.tried, number).id
        released = self.ask(self.store.release(delivery_id, self.now, retell))
        assert released == self.model.release(delivery_id, self.now)

    @precondition(lambda self: self.tried)
    @rule(number=numbers, outcome=outcomes, stale=st.booleans())
    def settle(self, number, outcome, stale) -> None:
        """`stale`: as somebody knows it who missed what happened since it was owed."""
        owed = pick(self.tried, number)
        known = owed if stale else self.model.deliveries.get(owed.id, owed)
        if self.model.deliveries.get(owed.id, owed).held_until is not None:
            return  # nobody attempts what is held
        settled, attempt = delivered(known) if outcome is None else tried(known, **outcome)
        assert self.ask(self.store.settle(settled, attempt)) == self.model.settle(settled, attempt)

    @precondition(lambda self: self.tried)
    @rule(number=numbers)
    def redeliver(self, number) -> None:
        delivery_id = pick(self.tried, number).id
        kept = self.model.deliveries.get(delivery_id)
        again = None if kept is None else redeliver(kept, now=self.now)
        assert self.ask(self.store.redeliver(delivery_id, self.now)) == again
        if again is not None:
            self.model.deliveries[delivery_id] = again

    @rule(age=st.sampled_from([0.0, 60.0, 600.0]))
    def clean(self, age) -> None:
        before = at(self.seconds - age)
        assert self.ask(self.store.clean(before)) == self.model.clean(before)

    # What must always be so

    @invariant()
    def same(self) -> None:
        self.ask(self.compare())

    async def compare(self) -> None:
        model, store = self.model, self.store
        shown = {view.watch.id: view for view in (await store.watches(EVERYTHING)).watches}
        assert {each: view.watch for each, view in shown.items()} == model.watches
        for view in shown.values():
            task = model.tasks[name_of(view.watch)].known
            assert (view.task_key, view.status, view.polls) == (task.key, task.status, task.polls)
            assert (view.delivery and view.delivery.id) == getattr(model.delivery_of(view.watch), "id", None)
        polled = {name_of(task): task for task in await store.watched(USUAL)}
        assert polled == {name: task for name in NAMES if (task := model.task(name)) is not None}
        waiting = {each.id: each.next_attempt_at for each in await store.waiting()}
        due = [each for each in model.deliveries.values() if each.state == "pending"]
        assert waiting == {each.id: each.next_attempt_at for each in due if each.held_until is None}
        unsettled = await store.unsettled()
        assert {each.id: each.next_attempt_at for each in unsettled.held} == {
            each.id: each.held_until for each in due if each.held_until is not None
        }
        times = {task.known.key: [file.next_try_at for file in pending(task.known)] for task in model.tasks.values()}
        assert unsettled.tasks == {key: min(found) for key, found in times.items() if found}
        assert len((await store.deliveries(EVERYTHING)).deliveries) == len(model.deliveries)
        for delivery in model.deliveries.values():
            view = await store.delivery_view(delivery.id)
            assert (view.delivery, list(view.log)) == (delivery, model.logs[delivery.id][-50:])


def pick(things, number):
    return list(things.values())[number % len(things)]


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where the system has such a place: thousands of commits need not wait for a disk here."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_store_does_what_the_model_does(name, quick_folder: Path):
    """Registrations, declarations, polls, ends, deadlines, attempts, retention and restarts, in any order, some of them
    stale: every answer and everything that is kept is the model's."""
    places = (quick_folder / str(number) for number in itertools.count())

    def make_backend():
        place = next(places)
        place.mkdir()
        return BACKENDS[name](place)

    class Machine(StoreMachine):
        pass

    Machine.make_backend = staticmethod(make_backend)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES[name],
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.reuse, Phase.generate],  # add Phase.shrink for a shorter story; it takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
