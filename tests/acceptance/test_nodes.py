"""Three real processes on one real PostgreSQL: what is promised of one daemon holds for all of them together."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import httpx
from standardwebhooks import Webhook

from notifier.domain.signature import new_secret
from tests.acceptance.cluster import (
    BUSY,
    ENDPOINT,
    INTERVAL,
    MACHINE_SECONDS,
    RATE,
    RATED,
    RELIEVED_WITHIN,
    Cluster,
    at_once,
    by_path,
    in_ten_seconds,
)
from tests.acceptance.harness import TOKEN, DaemonProcess, wait_until
from tests.acceptance.postgres_server import PostgresServer
from tests.cuttable_wire import Wire

Record = Callable[[str, object], None]


def test_work_is_spread_and_stays_where_it_is(cluster: Cluster, record_property: Record) -> None:
    """No node makes more than 60 % of the polls, no task changes node, each keeps its interval, and all nodes together
    poll as often as one did alone (within 15 %)."""
    began = time.monotonic()
    together = cluster.polls_a_second(5 * INTERVAL)
    polls = cluster.provider.since(began, provider="videos")
    shares = Counter(poll.node for poll in polls)
    record_property("figure", f"{dict(shares)}; one node {cluster.alone:.1f}/s, three {together:.1f}/s")
    assert set(shares) == set("abc")
    assert max(shares.values()) <= 0.6 * len(polls)
    assert 0.85 * cluster.alone <= together <= 1.15 * cluster.alone
    owners = cluster.provider.askers(began, provider="videos")
    assert [task for task, nodes in owners.items() if len(nodes) > 1] == []
    assert set(owners) >= set(BUSY)


def test_a_watch_registered_anywhere_is_polled_at_once(cluster: Cluster, record_property: Record) -> None:
    """Its first poll comes within a second, by the node that it falls to; at three nodes at the same moment it is one
    watch, and its task is polled by one of them."""
    names = [f"{name}-{number}" for name in "abc" for number in range(12)]
    began = time.monotonic()
    for name in "abc":
        cluster.register(name, [task_id for task_id in names if task_id.startswith(name)])
    wait_until(lambda: cluster.polled(names, began), "all are polled for the first time", 1 + MACHINE_SECONDS)
    record_property("figure", f"first polls of {len(names)} watches within {time.monotonic() - began:.2f} s")
    assert {poll.node for poll in cluster.provider.since(began) if poll.task_id in names} == set("abc")
    for number in range(5):
        twins = at_once(*(partial(cluster.register, name, [f"twin-{number}"]) for name in "abc"))
        assert len({watch["id"] for (watch,) in twins}) == 1
        listed = cluster["b"].call("GET", f"/v1/watches?task_id=twin-{number}")[1]["watches"]
        assert [watch["id"] for watch in listed] == [watch["id"] for watch in twins[0]]
    cluster.provider.end([*names, *(f"twin-{number}" for number in range(5))])
    wait_until(lambda: cluster.told(names), "all are told")


def test_any_node_shows_cancels_and_redelivers(cluster: Cluster) -> None:
    """What one node was asked for is done wherever the task is, and all of them say so."""
    names = [f"anywhere-{number}" for number in range(9)]
    watches = cluster.register("a", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    for watch, name in zip(watches[:3], "abc", strict=True):
        assert cluster[name].call("GET", f"/v1/watches/{watch['id']}")[1]["state"] == "watching"
        assert cluster[name].call("DELETE", f"/v1/watches/{watch['id']}")[0] == 204
    time.sleep(1)
    cancelled = time.monotonic()
    cluster.provider.end(names)
    wait_until(lambda: cluster.told(names[3:]), "the others are told")
    time.sleep(INTERVAL)
    assert not {poll.task_id for poll in cluster.provider.since(cancelled)} & set(names[:3]), "polled though cancelled"
    events = [watch["delivery"]["id"] for watch in cluster.register("b", names[3:])]
    for event, name in zip(events[:3], "abc", strict=True):
        assert cluster.settled(event)
        assert cluster[name].call("POST", f"/v1/deliveries/{event}/redeliver")[0] == 202
    wait_until(lambda: len(by_path(cluster.receiver.hooks)[f"/{names[5]}"]) == 2, "redelivered", 2 + MACHINE_SECONDS)
    time.sleep(1)
    found = by_path(cluster.receiver.hooks)
    assert [len(found[f"/{name}"]) for name in names] == [0, 0, 0, 2, 2, 2, 1, 1, 1]


def test_every_node_shows_all_of_them(cluster: Cluster) -> None:
    """In its status and its metrics: who is there with how much of the work, that nothing is nobody's, and what each
    may take of a rate that they share."""
    seen = [cluster[name].call("GET", "/v1/status")[1]["cluster"] for name in "abc"]
    for name, one in zip("abc", seen, strict=True):
        assert {node["name"]: node["this"] for node in one["nodes"] if node["alive"]} == {
            other: other == name for other in "abc"
        }
        assert sum(node["shards"] for node in one["nodes"]) == 256
        assert (one["unowned_shards"], one["age_seconds"] < 5) == (0, True)
        assert sum(node["tasks"] for node in one["nodes"]) >= len([*BUSY, *RATED])
    figures = [metrics(cluster[name]) for name in "abc"]
    assert [each["notifier_nodes"] for each in figures] == [3.0, 3.0, 3.0]
    assert sum(each["notifier_node_shards"] for each in figures) == 256
    assert all(each["notifier_node_lease_seconds"] > 3 for each in figures)

    def shared() -> bool:
        shares = [metrics(cluster[name])['notifier_provider_share{provider="rated"}'] for name in "abc"]
        return 0.9 * RATE <= sum(shares) <= 1.001 * RATE and min(shares) > 0

    wait_until(shared, "the rate is divided among them")


def metrics(node: DaemonProcess) -> dict[str, float]:
    """Each sample by its name and labels."""
    lines = node.call("GET", "/metrics")[1].splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def test_an_endpoint_registered_at_one_node_is_known_to_all(cluster: Cluster) -> None:
    """Whichever node tells of an end signs with the endpoint's own secret, soon after it was registered."""
    url, secret = cluster.receiver.url + ENDPOINT, new_secret(b"e" * 32)
    assert cluster["a"].call("POST", "/v1/endpoints", {"url": url, "secret": secret})[0] == 201
    time.sleep(1)
    names = [f"signed-{number}" for number in range(12)]
    body = {"watches": [{"task_id": name, "callback_url": url, "provider": "videos"} for name in names]}
    assert cluster["b"].call("POST", "/v1/watches/batch", body)[0] == 200
    wait_until(lambda: cluster.polled(names), "all are polled")
    assert {poll.node for poll in cluster.provider.since(0.0) if poll.task_id in names} == set("abc")
    cluster.provider.end(names)
    wait_until(lambda: len(cluster.receiver.at(ENDPOINT)) == len(names), "all are told")
    for hook in cluster.receiver.at(ENDPOINT):
        Webhook(secret).verify(hook.body, hook.headers)


def test_what_a_killed_node_had_in_flight_is_done_by_the_others(cluster: Cluster, record_property: Record) -> None:
    """After kill -9 in the middle of attempts others poll its tasks within 20 s, and every event that it owed arrives
    under the same id and with the same body."""
    cluster.receiver.answer = lambda path, count: time.sleep(0.5) or 204
    names = [f"killed-{number}" for number in range(30)]
    cluster.register("a", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    lost = cluster.of("b")
    cluster.provider.end(names)
    wait_until(lambda: cluster.attempts("b") >= 3, "attempts are in flight")
    cluster["b"].kill()
    killed = time.monotonic()
    wait_until(lambda: cluster.polled(lost, killed, by="ac"), f"others poll {lost}", RELIEVED_WITHIN)
    record_property("figure", f"{len(lost)} tasks were polled again after {time.monotonic() - killed:.1f} s")
    wait_until(lambda: cluster.told(names), "every callback is told")
    hooks = by_path(hook for hook in cluster.receiver.hooks if hook.path.startswith("/killed-"))
    assert len({seen[0].id for seen in hooks.values()}) == len(names)
    cluster.check()
    cluster.settle("ac")


def test_a_node_that_hung_changes_nothing_when_it_wakes(cluster: Cluster, record_property: Record) -> None:
    """Stopped for 15 s a node is relieved; awake again it polls only what it was given anew, tells nothing again, and
    has its part of the work soon after."""
    names = [f"hung-{number}" for number in range(30)]
    cluster.register("c", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    lost = cluster.of("c")
    cluster["c"].signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        time.sleep(0.5)
        wait_until(lambda: cluster.polled(lost, stopped + 0.5, by="ab"), "it is relieved", RELIEVED_WITHIN)
        relieved = time.monotonic() - stopped
        cluster.provider.end(names)
        wait_until(lambda: cluster.told(names), "what ended meanwhile is told by the others")
        time.sleep(max(0.0, stopped + 15 - time.monotonic()))
    finally:
        cluster["c"].signal(signal.SIGCONT)
    woken = time.monotonic()
    wait_until(lambda: cluster.spread("abc") and time.monotonic() > woken + 2, "it has a part of the work again")
    record_property("figure", f"relieved after {relieved:.1f} s, back after {time.monotonic() - woken:.1f} s")
    for task, nodes in cluster.provider.askers(woken, provider="videos").items():
        assert "c" not in nodes[:-1], f"{task} was polled by {nodes}: c polled what others went on with"
    assert all(len(cluster.receiver.at(f"/{name}")) == 1 for name in names), "each was told once"


def test_a_node_that_loses_the_database_is_relieved(cluster: Cluster, wire: Wire, record_property: Record) -> None:
    """Nothing that it sends arrives, and nobody tells it: it stops polling before others poll its tasks, tells nothing
    that they tell, and goes on when it hears of the database again."""
    names = [f"cut-{number}" for number in range(30)]
    cluster.register("c", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    lost = cluster.of("c")
    wire.cut()
    cut = time.monotonic()
    try:
        cluster.provider.end(names)
        wait_until(lambda: cluster.polled(lost, cut + 1.5, by="ab"), "it is relieved", RELIEVED_WITHIN)
        relieved = time.monotonic() - cut
        assert cluster["c"].call("GET", "/readyz", token=None)[0] == 503
        wait_until(lambda: cluster.told(names), "what ended meanwhile is told by the others")
    finally:
        wire.mend()
    cluster.settle()
    record_property("figure", f"relieved after {relieved:.1f} s")
    assert cluster["c"].events("node.lapsed")
    assert all(len(cluster.receiver.at(f"/{name}")) == 1 for name in names), "each was told once"


def test_the_database_may_be_away(cluster: Cluster, postgres: PostgresServer, record_property: Record) -> None:
    """For ten seconds: the intake says 503 and when to come again, polls stop when nobody can prove what is his, and
    everything goes on by itself; ends that were learned meanwhile are told."""
    names = [f"away-{number}" for number in range(30)]
    cluster.register("b", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    postgres.stop()
    stopped = time.monotonic()
    cluster.provider.end(names[:15])
    time.sleep(1.0)
    for name in "abc":
        status, retry_after = refused(cluster[name].url)
        assert status == 503
        assert int(retry_after) > 0
    time.sleep(max(0.0, stopped + 10 - time.monotonic()))
    silent = cluster.provider.since(stopped + 8 + MACHINE_SECONDS / 2)
    cluster.provider.end(names[15:])
    postgres.start()
    back = time.monotonic()
    assert not silent, "polls by nodes whose leases must have lapsed"
    wait_until(lambda: cluster.polled(BUSY, back), "all tasks are polled again")
    record_property("figure", f"polled again {time.monotonic() - back:.1f} s after the database was back")
    wait_until(lambda: cluster.told(names), "all ends are told")
    wait_until(lambda: all(node.ready() for node in cluster.nodes.values()), "all are ready")


def refused(url: str) -> tuple[int, str]:
    """Status and Retry-After of a registration."""
    body = {"task_id": "refused", "provider": "videos", "callback_url": "http://127.0.0.1:9/"}
    answer = httpx.post(f"{url}/v1/watches", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    return answer.status_code, answer.headers.get("retry-after", "")


def test_a_rolling_restart_is_hardly_noticed(cluster: Cluster, record_property: Record) -> None:
    """Each node is stopped and started in turn: every stop ends with 0, no task goes without polls for more than a few
    seconds, nothing is told twice, and where more is due than the rate allows, all nodes together make as many polls as
    it allows, within 10 % in any ten seconds."""
    names = [f"rolled-{number}" for number in range(30)]
    cluster.register("a", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    began = time.monotonic()
    for number, name in enumerate("abc"):
        cluster.provider.end(names[10 * number : 10 * number + 10])
        assert cluster[name].stop() == 0
        wait_until(partial(cluster.polled, BUSY, time.monotonic()), "others poll its tasks")
        cluster.settle()
    wait_until(lambda: cluster.told(names), "all ends are told")
    time.sleep(max(0.0, began + 15 - time.monotonic()))
    ended, longest = time.monotonic(), max(cluster.gaps(began))
    least, most = in_ten_seconds([poll.at for poll in cluster.provider.since(began, ended, provider="rated")], ended)
    rate = f"{least / 10:.1f} to {most / 10:.1f} polls/s in any 10 s of {ended - began:.0f} s"
    record_property("figure", f"longest time without a poll of a task {longest:.1f} s; {rate}")
    assert longest <= 3 * INTERVAL + MACHINE_SECONDS
    assert all(len(cluster.receiver.at(f"/{name}")) == 1 for name in names), "each was told once"
    assert RATE * 10 * 0.9 <= least <= most <= RATE * 10 * 1.1
    assert cluster.polled(RATED, began), "late but fair"


def test_a_node_that_stops_holds_up_nothing_that_waits(cluster: Cluster, record_property: Record) -> None:
    """While its slow attempts are finished, others make the next attempts of what it tried in vain: each within a few
    seconds, and what it was finishing is told once."""
    slow, refused = ([f"{kind}-{number}" for number in range(18)] for kind in ("slow", "refused"))
    well = threading.Event()

    def answer(path: str, count: int) -> int:
        if path.startswith("/slow-"):
            time.sleep(10)
        return 503 if path.startswith("/refused-") and not well.is_set() else 204

    cluster.register("b", slow + refused)
    wait_until(lambda: cluster.polled(slow + refused), "all are polled")
    cluster.receiver.answer = answer
    cluster.provider.end(slow + refused)
    wait_until(lambda: all(cluster.receiver.at(f"/{name}") for name in refused), "all were tried")
    wait_until(lambda: sum(cluster.receiver.busy.get(f"/{name}", 0) for name in slow) == len(slow), "all hang")
    cluster["a"].signal(signal.SIGTERM)
    stopped = time.monotonic()
    well.set()
    wait_until(lambda: cluster.told(refused), "others make the next attempts", 3 + MACHINE_SECONDS)
    record_property("figure", f"what waited was told {time.monotonic() - stopped:.1f} s after the stop began")
    assert cluster["a"].running, "its own attempts are finished first"
    assert cluster["a"].wait() == 0
    wait_until(lambda: cluster.told(slow), "what was slow is told")
    assert all(len(cluster.receiver.at(f"/{name}")) == 1 for name in slow), "each was told once"


def test_no_connection_is_left_for_some_seconds(
    cluster: Cluster, postgres: PostgresServer, record_property: Record
) -> None:
    """Others use up all the connections for four seconds: no node falls, and all goes on."""
    names = [f"crowded-{number}" for number in range(15)]
    cluster.register("a", names)
    wait_until(lambda: cluster.polled(names), "all are polled")
    url = cluster["a"].config["store"]["url"]
    with postgres.crowded(url):
        cluster.provider.end(names)
        time.sleep(1)
        statuses = Counter(cluster[name].call("GET", "/v1/watches?limit=1")[0] for name in "abc")
        time.sleep(3)
    record_property("figure", f"the intakes answered {dict(statuses)}")
    assert set(statuses) <= {200, 503}
    wait_until(lambda: cluster.told(names), "all ends are told")
    freed = time.monotonic()
    wait_until(lambda: cluster.polled(BUSY, freed), "all tasks are polled")
    assert all(node.running for node in cluster.nodes.values())
