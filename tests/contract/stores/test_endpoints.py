"""EndpointStore: one endpoint for each URL, kept as it was written."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from notifier.domain.endpoint import Change, Endpoint, Overfull, Terms, changed
from notifier.domain.headers import MOST_HEADERS
from notifier.ports import Alter
from tests.contract.stores.building import BACKENDS, T0
from tests.thoroughness import examples

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
LATER = T0 + timedelta(seconds=5)
WHOLE = Terms(
    secrets=(NEW, OLD),
    headers={"X-Env": "production", "Authorization": 'Bearer "x"'},
    events=("task.failed", "task.abandoned"),
    rate=0.5,
    concurrency=3,
)


def endpoint(number: int = 1, url: str | None = None, **changes: object) -> Endpoint:
    terms = replace(WHOLE, **changes)
    return Endpoint(f"ep_{number}", url or f"https://app.example.com/{number}", terms, created_at=T0, updated_at=T0)


async def test_an_endpoint_comes_back_as_it_was_kept(store, backend):
    """Every member, secrets in their order, after a restart too; what has no value has none."""
    kept = await store.add_endpoint(endpoint())
    bare = await store.add_endpoint(endpoint(2, headers={}, rate=None, concurrency=None))
    assert (kept, bare.number) == (replace(endpoint(), number=kept.number), kept.number + 1)
    assert bare.terms == replace(WHOLE, headers={}, rate=None, concurrency=None)
    assert await store.endpoints() == [kept, bare]
    await store.close()
    again = await backend.open()
    assert await again.endpoints() == [kept, bare]
    await again.close()


async def test_a_url_is_registered_once(store):
    """The second gets the first one's endpoint, unchanged; also when both ask at the same moment."""
    url = "https://app.example.com/hook"
    answers = await asyncio.gather(*(store.add_endpoint(endpoint(number, url, rate=9.0)) for number in (1, 2, 3)))
    assert len({(answer.id, answer.number) for answer in answers}) == 1
    assert await store.endpoints() == [answers[0]]


async def test_urls_are_compared_exactly(store):
    """A slash or a letter's case makes another URL."""
    for number, url in enumerate(("https://a.example/x", "https://a.example/x/", "https://a.example/X"), 1):
        assert (await store.add_endpoint(endpoint(number, url))).id == f"ep_{number}"


async def test_a_change_is_applied_to_what_is_stored(store):
    """Inside the transaction: of changes at the same moment none is lost."""
    await store.add_endpoint(endpoint(rate=1.0))

    def faster(stored: Endpoint) -> Endpoint:
        return replace(stored, terms=replace(stored.terms, rate=stored.terms.rate + 1), updated_at=LATER)

    changed = await asyncio.gather(*(store.change_endpoint("ep_1", faster) for _ in range(5)))
    assert sorted(each.terms.rate for each in changed) == [2.0, 3.0, 4.0, 5.0, 6.0]
    (kept,) = await store.endpoints()
    assert (kept.terms, kept.created_at, kept.updated_at) == (replace(WHOLE, rate=6.0), T0, LATER)


async def test_a_change_that_goes_too_far_changes_nothing(store):
    """Judged on what is stored, so that changes at the same moment do not pass a limit together."""
    await store.add_endpoint(endpoint(headers={}))

    def adding(number: int) -> Alter:
        headers = {f"X-{number}-{each}": "1" for each in range(MOST_HEADERS - 2)}
        return lambda stored: changed(stored, Change(headers=headers), random_bytes=b"", now=LATER)

    outcomes = await asyncio.gather(*(store.change_endpoint("ep_1", adding(number)) for number in range(3)))
    assert [type(outcome) for outcome in outcomes] == [Endpoint, Overfull, Overfull]
    assert await store.endpoints() == [outcomes[0]]


async def test_what_is_not_there_is_neither_changed_nor_removed(store):
    """And a removed endpoint's URL is free, its number is not used again."""
    assert await store.change_endpoint("ep_1", lambda stored: stored) is None
    assert await store.remove_endpoint("ep_1") is False
    first = await store.add_endpoint(endpoint())
    assert await store.remove_endpoint("ep_1") is True
    assert await store.remove_endpoint("ep_1") is False
    assert (await store.add_endpoint(endpoint(2, first.url))).number > first.number


async def test_errors_of_the_database_do_not_quote_secrets(store):
    """A fault of ours goes into the log with its traceback; what was to be written must not be in it."""
    with pytest.raises(Exception, match=r"(?i)not.null") as caught:
        await store.add_endpoint(replace(endpoint(), created_at=None))
    assert NEW not in str(caught.value)
    with pytest.raises(Exception, match=r"no such|does not exist") as caught:
        await store._writer.write(lambda on: on.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": NEW}))
    assert NEW not in str(caught.value)


actions = st.lists(
    st.tuples(st.sampled_from(["add", "change", "remove", "restart"]), st.integers(0, 3), st.floats(0.1, 100.0)),
    max_size=20,
)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(25))
@given(actions=actions)
def test_whatever_is_asked_in_whatever_order(tmp_path_factory, backend, actions):
    """The store holds what a dictionary by URL would, in the order of registration, restarts in between."""
    asyncio.run(_play(BACKENDS[backend](tmp_path_factory.mktemp("store")), actions))


async def _play(place, actions) -> None:
    store, model, ids = await place.open(), {}, itertools.count(1)
    for action, which, rate in actions:
        url = f"https://app.example.com/{which}"
        known = model.get(url)
        match action:
            case "add":
                kept = await store.add_endpoint(endpoint(next(ids), url, rate=rate))
                assert known in (None, kept)
                model[url] = kept
            case "change":
                wanted = known and replace(known, terms=replace(known.terms, rate=rate), updated_at=LATER)
                assert await store.change_endpoint(known.id if known else "ep_0", lambda _, to=wanted: to) == wanted
                model |= {url: wanted} if known else {}
            case "remove":
                assert await store.remove_endpoint(known.id if known else "ep_0") is (known is not None)
                model.pop(url, None)
            case "restart":
                await store.close()
                store = await place.open()
        assert await store.endpoints() == list(model.values())
    await store.close()
