"""The client commands against a served intake: over TCP and unix sockets, as a person and as a script use them."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from notifier.adapters.api import Cluster, LastReload, PausedProvider, Readiness
from notifier.adapters.intake_client import HttpAddress, IntakeClient, Reply, UnixAddress, Unreachable
from notifier.adapters.serving import serve
from notifier.cli.root import app
from notifier.domain.address import Refusal
from notifier.domain.answer import Completed
from notifier.domain.delivery import Answered, RetrySchedule, Unanswered
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.report import NodeReport, Standing
from notifier.domain.signature import Ed25519Key, HmacKey, new_private_key, new_secret, parse_secret, public_key
from notifier.ports import Counts, Oldest, Space
from notifier.services.dispatcher import DispatchPolicy
from notifier.services.registrar import WatchRules
from tests.contract.api.world import HOOK, World
from tests.fakes import START

TOKEN = "s3cret-token"


class Live:
    """A served intake; `notifier()` runs a command against it in another thread, as another process would."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url

    async def notifier(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        clean = {"NOTIFIER_URL": self.url, "NOTIFIER_TOKEN": TOKEN, "NOTIFIER_CONFIG": "", "COLUMNS": "80"}
        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=clean | (env or {}))

    async def json(self, *arguments: str) -> Any:
        result = await self.notifier(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest_asyncio.fixture
async def live(guarded: World) -> AsyncIterator[Live]:
    """On a free TCP port; tokens are needed. What the daemon logs is kept away from what the commands print."""
    with capture_logs(), socket.create_server(("127.0.0.1", 0)) as listener:
        async with serve(guarded.app, listener, grace=1):
            yield Live(guarded, f"http://127.0.0.1:{listener.getsockname()[1]}")


async def test_a_watch_from_registration_to_cancelling(live: Live) -> None:
    """add, list, show and cancel say what happened, with whole ids."""
    live.world.chance.new_id = lambda prefix: prefix + "0123456789abcdef01234567"
    watch_id = "wch_0123456789abcdef01234567"
    options = ("--interval", "45s", "--deadline", "2h", "--metadata", '{"order": 1042}', "--provider", "videos")
    added = await live.notifier("watch", "add", "vid_1", HOOK, *options)
    assert (added.exit_code, added.stdout) == (0, f"{watch_id}  registered, videos task vid_1: watching\n")
    again = await live.notifier("watch", "add", "vid_1", "--callback-url", HOOK)
    assert again.stdout == f"{watch_id}  watched already, videos task vid_1: watching\n"
    listed = (await live.notifier("watch", "list")).stdout.splitlines()
    assert " ".join(listed[0].split()) == "ID STATE STATUS PROVIDER TASK POLLS NEXT POLL DELIVERY CALLBACK URL"
    row = [watch_id, "watching", "-", "videos", "vid_1", "0", "2026-11-22T13:33:00Z", "-", HOOK]
    assert listed[1].split() == row
    assert listed[0].index("CALLBACK") == listed[1].index(HOOK)
    shown = (await live.notifier("watch", "show", watch_id)).stdout
    assert 'metadata        {"order": 1042}\n' in shown
    assert "interval        45s\n" in shown
    assert "vars            {}\n" in shown
    cancelled = await live.notifier("watch", "cancel", watch_id)
    assert (cancelled.exit_code, cancelled.stdout) == (0, f"{watch_id}  cancelled, or it had ended before\n")
    assert (await live.json("watch", "show", watch_id))["state"] == "cancelled"


async def test_variables_are_options(live: Live) -> None:
    """`--var NAME=VALUE`, more than once; the value may have an equals sign in it."""
    rules = WatchRules(30.0, 5.0, 86_400.0, lambda given: ())
    live.world.registrar.configure({"videos": rules}, live.world.guard)
    watch = await live.json("watch", "add", "vid_1", HOOK, "--var", "path=a/b=c", "--var", "region=eu")
    assert watch["vars"] == {"path": "a/b=c", "region": "eu"}
    shown = (await live.notifier("watch", "show", watch["id"])).stdout
    assert 'vars            {"path": "a/b=c", "region": "eu"}\n' in shown


async def test_json_is_the_intakes_answer_unchanged(live: Live) -> None:
    """`--json` prints what the HTTP call answers."""
    await live.notifier("watch", "add", "vid_1", HOOK)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    result = await live.notifier("watch", "list", "--json")
    assert result.stdout == (await live.world.client.get("/v1/watches", headers=headers)).text + "\n"
    assert (await live.json("watch", "add", "vid_1", HOOK))["id"] == "wch_1"


async def test_lists_are_narrowed_and_paged(live: Live) -> None:
    """Options become the query; what is left over is told on stderr with the cursor that leads there."""
    for number in range(3):
        await live.notifier("watch", "add", f"vid_{number}", HOOK)
    first = await live.notifier("watch", "list", "--limit", "2", "--state", "watching", "--provider", "videos")
    assert len(first.stdout.splitlines()) == 3
    cursor = first.stderr.removeprefix("there are more: --cursor ").strip()
    rest = await live.notifier("watch", "list", "--limit", "2", "--cursor", cursor)
    assert [line.split()[4] for line in rest.stdout.splitlines()[1:]] == ["vid_0"]
    one = await live.notifier("watch", "list", "--task-id", "vid_1")
    assert [line.split()[4] for line in one.stdout.splitlines()[1:]] == ["vid_1"]
    none = await live.notifier("watch", "list", "--state", "failed")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no watches\n")


async def test_a_delivery_is_listed_shown_and_sent_again(live: Live) -> None:
    """Attempts in a table of their own; what a receiver answered cannot steer the terminal."""
    live.world.provider.script("vid_1", Completed("completed", ("https://cdn.example.com/1.mp4",), None))
    live.world.sender.script(HOOK, Answered(410, None, "\x1b[2Jgone\nfor good", 0.1))
    assert (await live.notifier("delivery", "list")).stderr == "no deliveries\n"
    await live.notifier("watch", "add", "vid_1", HOOK)
    await live.world.crew.run()
    listed = (await live.notifier("delivery", "list", "--watch", "wch_1", "--state", "exhausted")).stdout
    row = ["evt_1", "exhausted", "(gone)", "task.completed", "1", "-", "wch_1", HOOK]
    assert listed.splitlines()[1].split() == row
    shown = (await live.notifier("delivery", "show", "evt_1")).stdout
    assert shown.splitlines()[0] == "id               evt_1"
    assert "\\x1b[2Jgone\\nfor good" in shown.splitlines()[-1]
    assert "\x1b" not in shown
    live.world.sender.hold()
    again = await live.notifier("delivery", "redeliver", "evt_1")
    assert (again.exit_code, again.stdout.split()[0]) == (0, "evt_1")
    pending = await live.notifier("delivery", "redeliver", "evt_1")
    assert pending.exit_code == 1
    assert pending.stderr == "notifier: this delivery is pending: its next attempt comes by itself\n"
    live.world.sender.release()
    await live.world.crew.run()
    assert (await live.json("delivery", "show", "evt_1"))["state"] == "delivered"


async def test_a_delivery_that_waits_for_a_circuit_says_so_in_a_sentence(live: Live) -> None:
    """Whoever wonders why nothing is sent reads it where he looks first."""
    policy = DispatchPolicy(Receivers(Receiver((HmacKey(b"0" * 24),))), RetrySchedule((4.0,) * 99), 8, 8)
    live.world.dispatcher.configure(policy, live.world.sender, live.world.guard)
    live.world.provider.script("vid_1", Completed("completed", ("https://cdn.example.com/1.mp4",), None))
    live.world.sender.usual = Answered(500, None, "", 0.1)
    await live.notifier("watch", "add", "vid_1", HOOK)
    await live.world.crew.advance(60)
    shown = (await live.notifier("delivery", "show", "evt_1")).stdout
    assert "waiting: the circuit of this URL is open. Its last 1" in shown
    assert " attempts failed, the first at 2026-11-22" in shown
    assert "the last with: HTTP 500. One probe at a time tries it again, the next at 2026-11-22" in shown
    await live.notifier("endpoint", "add", HOOK)
    assert "waiting: the circuit of this URL is open." in (await live.notifier("endpoint", "show", "ep_1")).stdout


async def test_an_endpoint_from_registration_to_deletion(live: Live) -> None:
    """add, list, show, change and delete say what happened; a secret that was made is alone on its line of stdout."""
    options = ("--rate", "30/m", "--concurrency", "4", "--event", "task.failed")
    added = await live.notifier("endpoint", "add", HOOK, *options)
    secret = new_secret(b"\x01" * 32)
    assert (added.exit_code, added.stdout) == (0, f"ep_1  registered, {HOOK}\n{secret}\n")
    assert "not shown again" in added.stderr
    listed = (await live.notifier("endpoint", "list")).stdout.splitlines()
    assert listed[0].split() == ["ID", "SOURCE", "SECRETS", "RATE", "CONCURRENCY", "EVENTS", "URL"]
    assert listed[1].split() == ["ep_1", "intake", "1", "0.5/s", "4", "task.failed", HOOK]
    options = ("--header", "X-Env: production", "--header", "X-Old:1", "--rate", "none", "--concurrency", "none")
    changed = await live.notifier("endpoint", "change", "ep_1", *options)
    assert (changed.exit_code, changed.stdout) == (0, f"ep_1  changed, {HOOK}\n")
    options = ("--drop-header", "X-Old", "--event", "task.completed", "--event", "task.failed")
    assert (await live.notifier("endpoint", "change", "ep_1", *options)).exit_code == 0
    shown = (await live.notifier("endpoint", "show", "ep_1")).stdout.splitlines()
    members = dict(line.split(maxsplit=1) for line in shown)
    assert (members["headers"], members["events"]) == ("X-Env", "task.completed, task.failed")
    assert (members["rate"], members["concurrency"], members["secrets"]) == ("-", "-", "1")
    deleted = await live.notifier("endpoint", "delete", "ep_1")
    assert (deleted.exit_code, deleted.stdout) == (0, "ep_1  deleted\n")
    assert (await live.notifier("endpoint", "list")).stderr == "no endpoints\n"
    assert (await live.notifier("endpoint", "show", "ep_1")).exit_code == 1


async def test_secrets_of_an_endpoint_come_from_a_file(live: Live, tmp_path: Path) -> None:
    """One a line, never from the command line, where other processes could read them."""
    one, two, file = new_secret(b"1" * 32), new_secret(b"2" * 32), tmp_path / "secrets"
    file.write_text(f"{two}\n\n{one}\n")
    added = await live.notifier("endpoint", "add", HOOK, "--secret-file", str(file))
    assert (added.exit_code, added.stdout) == (0, f"ep_1  registered, {HOOK}\n")
    assert live.world.store.registered["ep_1"].terms.secrets == (two, one)
    file.write_text(one)
    assert (await live.notifier("endpoint", "change", "ep_1", "--secret-file", str(file))).exit_code == 0
    assert live.world.store.registered["ep_1"].terms.secrets == (one,)
    for content, says in (("\n", "holds no secret"), (None, "cannot be read: No such file")):
        file.write_text(content) if content else file.unlink()
        refused = await live.notifier("endpoint", "add", HOOK, "--secret-file", str(file))
        assert refused.exit_code == 2
        assert says in refused.stderr


async def test_rotating_an_endpoints_secret_shows_what_the_receiver_needs(live: Live, tmp_path: Path) -> None:
    """The new shared secret; of a key pair the public half, for the private one is no business of a receiver's."""
    await live.notifier("endpoint", "add", HOOK)
    rotated = await live.notifier("endpoint", "rotate", "ep_1")
    newest, _ = live.world.store.registered["ep_1"].terms.secrets
    assert (rotated.exit_code, rotated.stdout) == (0, f"ep_1  rotated, {HOOK}\n{newest}\n")
    file = tmp_path / "key"
    file.write_text(new_private_key(b"k" * 32))
    await live.notifier("endpoint", "change", "ep_1", "--secret-file", str(file))
    rotated = await live.notifier("endpoint", "rotate", "ep_1")
    key = parse_secret(live.world.store.registered["ep_1"].terms.secrets[0])
    assert isinstance(key, Ed25519Key)
    assert rotated.stdout == f"ep_1  rotated, {HOOK}\n{public_key(key)}\n"
    assert (await live.json("endpoint", "rotate", "ep_1"))["secret"].startswith("whsk_")


async def test_endpoints_are_listed_in_pages(live: Live) -> None:
    """What is left over is told on stderr with the cursor that leads there; --json is the intake's answer."""
    for number in range(3):
        await live.notifier("endpoint", "add", f"https://app.example.com/{number}")
    first = await live.notifier("endpoint", "list", "--limit", "2")
    assert [line.split()[0] for line in first.stdout.splitlines()[1:]] == ["ep_3", "ep_2"]
    cursor = first.stderr.removeprefix("there are more: --cursor ").strip()
    (last,) = (await live.json("endpoint", "list", "--limit", "2", "--cursor", cursor))["endpoints"]
    assert (await live.json("endpoint", "show", "ep_1")) == last


async def test_an_endpoint_test_says_how_it_went(live: Live) -> None:
    """Exit 0 when the receiver took the event, 1 otherwise."""
    live.world.sender.script(HOOK, Answered(200, None, "thanks", 0.25), Unanswered("connection refused", 1.5))
    good = await live.notifier("endpoint", "test", HOOK)
    assert (good.exit_code, good.stdout) == (0, "delivered, HTTP 200 after 250 ms\nanswer: thanks\n")
    bad = await live.notifier("endpoint", "test", HOOK)
    assert (bad.exit_code, bad.stdout) == (1, "failed after 1500 ms: connection refused\n")
    live.world.sender.script(HOOK, Answered(500, None, "", 0.25))
    failed = await live.notifier("endpoint", "test", HOOK, "--json")
    assert (failed.exit_code, json.loads(failed.stdout)["http_status"]) == (1, 500)


async def test_what_the_intake_refuses_is_told_by_member(live: Live) -> None:
    """`field: message` on stderr, each in its line, and exit 1."""
    live.world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    refused = await live.notifier("watch", "add", "vid_1", HOOK)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "notifier: callback_url: 10.0.0.1 is private\n"
    unknown = await live.notifier("watch", "show", "wch_nope")
    assert unknown.exit_code == 1
    assert unknown.stderr == "notifier: there is no watch with this id; `notifier watch list` shows them\n"
    assert (await live.notifier("watch", "show", "../watches")).exit_code == 1


@pytest.mark.parametrize("token", ["", "wrong-token"])
async def test_a_missing_or_wrong_token_is_told(live: Live, token: str) -> None:
    """With what to do about it; the token itself is not repeated."""
    result = await live.notifier("watch", "list", env={"NOTIFIER_TOKEN": token})
    assert result.exit_code == 1
    assert "--token" in result.stderr
    assert "wrong-token" not in result.stderr
    assert ("$NOTIFIER_TOKEN;" in result.stderr) == bool(token)
    assert (await live.notifier("watch", "list", "--token", TOKEN, env={"NOTIFIER_TOKEN": token})).exit_code == 0


async def test_a_daemon_that_is_not_there_is_told_in_one_line(live: Live) -> None:
    """Where it was looked for, from which setting, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = await live.notifier("watch", "list", "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert result.stderr == (
        f"notifier: no daemon answers at http://127.0.0.1:{port} (from --url): Connection refused;"
        " start it with `notifier run`, or name another with --url\n"
    )


async def test_another_server_is_not_taken_for_a_daemon(live: Live) -> None:
    """What answers with something else than the intake's JSON is named as a stranger."""

    async def stranger(scope: Any, _: Any, send: Any) -> None:
        status = 200 if scope["path"] == "/v1/watches" else 404
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with serve(stranger, listener, grace=1):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            for command in (("list",), ("show", "wch_1")):
                result = await live.notifier("watch", *command, "--url", url)
                assert result.exit_code == 1
                assert "not as Notifier does; check --url" in result.stderr


async def test_the_configuration_leads_to_the_daemon(guarded: World, tmp_path: Path) -> None:
    """A unix socket and the first token out of the file; other secrets need not be there."""
    path = tmp_path / "intake.sock"
    config = tmp_path / "config.yaml"
    config.write_text(
        f"intake: {{listen: 'unix:{path}', tokens: [{{name: backend, token: {TOKEN}}}]}}\n"
        "providers: {videos: {api_key: '${UNSET_KEY}'}}\nwebhooks: {secret: '${UNSET_SECRET}'}\n"
    )
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        async with serve(guarded.app, listener, grace=1):
            live = Live(guarded, "")
            added = await live.notifier("watch", "add", "vid_1", HOOK, "-c", str(config), env={"NOTIFIER_TOKEN": ""})
            assert added.exit_code == 0, added.stderr
            env = {"NOTIFIER_TOKEN": "", "NOTIFIER_CONFIG": str(config)}
            assert (await live.notifier("watch", "list", env=env)).exit_code == 0
            by_url = await live.notifier("watch", "list", "--url", f"unix:{path}", "--token", TOKEN)
            assert by_url.exit_code == 0


async def test_silence_is_not_waited_for_without_end() -> None:
    """A server that accepts and says nothing, or says something else than HTTP, is as good as none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = IntakeClient(HttpAddress("http", "127.0.0.1", listener.getsockname()[1]), None)
        assert await asyncio.to_thread(client.call, "GET", "/", timeout=0.05) == Unreachable("no answer within 0.05 s")
        listener.accept()[0].close()

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        greeting = asyncio.create_task(asyncio.to_thread(greet))
        answer = await asyncio.to_thread(client.call, "GET", "/", timeout=5.0)
        await greeting
    assert answer == Unreachable("what answers there does not speak HTTP (BadStatusLine)")
    missing = IntakeClient(UnixAddress("/nonexistent/notifier.sock"), None).call("GET", "/")
    assert missing == Unreachable("No such file or directory")
    odd = IntakeClient(HttpAddress("http", "ü" * 100, 80), None).call("GET", "/")
    assert odd == Unreachable("its host is not a valid name")


async def test_a_body_over_the_limit_is_told_on_a_real_connection(live: Live) -> None:
    """A sender that has not finished hears the 413, and its connection can be used again."""

    def send() -> list[int]:
        address = live.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        statuses = []
        for body in (b" " * 6_000_000, iter([b" " * 100_000] * 60), b"{}"):
            connection.request("POST", "/v1/watches", body, headers, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    assert await asyncio.to_thread(send) == [413, 413, 422]


async def test_a_call_to_a_served_intake_is_read_as_it_comes(live: Live) -> None:
    """The client's answer is the status and the bytes."""
    address = HttpAddress("http", "127.0.0.1", int(live.url.rpartition(":")[2]))
    reply = await asyncio.to_thread(IntakeClient(address, None).call, "GET", "/healthz")
    assert isinstance(reply, Reply)
    assert (reply.status, reply.json()) == (200, {"status": "ok"})
    assert Reply(200, b"<html>").json() is None


async def test_the_status_in_lines_for_people(live: Live) -> None:
    """What is paused and since when the oldest delivery waits; exit 0 when the daemon is ready."""
    paused = {"videos": PausedProvider("unauthorized", 43.2)}
    counts = Counts({"watching": 12, "failed": 1}, {"pending": 3, "exhausted": 1}, Oldest("evt_1", START))
    readiness = Readiness(True, {"store": "ok", "scheduler": "ok"}, paused, poll_lag=0.25)
    live.world.status = replace(live.world.status, counts=counts, readiness=readiness, open_circuits=2)
    live.world.clock.jump(133)
    result = await live.notifier("status")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "daemon       version 1.2.3, up 1h2m\n"
        "ready        yes\n"
        "  store      ok\n"
        "  scheduler  ok\n"
        "providers    videos paused, unauthorized: asked again in 43s\n"
        "polls        1.2/s over the last minute; the one that is due longest waits 0.2 s\n"
        "watches      12 watching, 1 failed\n"
        "deliveries   3 pending, 1 exhausted\n"
        "oldest       evt_1, pending for 2m13s\n"
        "circuits     2 open: those receivers keep failing and are only probed\n"
        "store        4.0 KiB, 1.0 GiB free on its disk\n"
        "reload       2026-11-22T13:33:00Z, took effect\n"
    )
    assert (await live.json("status"))["polls_per_second"] == 1.25


async def test_the_status_shows_a_line_for_each_node(live: Live) -> None:
    """Which one answers, who is silent, whose tasks nobody polls; a name is shown and never obeyed."""
    later = START + timedelta(hours=3)
    nodes = (
        Standing("host-1", True, "1.2.3", True, START, later, 128, NodeReport(1200, 40.0, 0.25)),
        Standing("host-\x1b[2J", False, "1.2.2", False, START, later, 88, NodeReport(800, 20.0)),
    )
    live.world.status = replace(live.world.status, cluster=Cluster(nodes, unowned=40, age=1.0))
    shown = (await live.notifier("status")).stdout
    assert "nodes           1 alive; 40 SHARDS ARE NOBODY'S\n" in shown
    work = "128 shards, 1200 tasks, 40.0 polls/s over the last minute, lag 0.2 s"
    assert f"  host-1        this one, {work}, version 1.2.3\n" in shown
    assert "  host-\\x1b[2J  SILENT since 2026-11-22T16:33:00Z; 88 shards\n" in shown
    live.world.status = replace(live.world.status, cluster=Cluster(nodes[:1], unowned=0, age=75.0))
    shown = (await live.notifier("status")).stdout
    assert "1 alive; every shard has its owner; that was 1m15s ago, the store has not answered since\n" in shown
    assert len((await live.json("status"))["cluster"]["nodes"]) == 1


async def test_a_daemon_that_is_not_ready_is_exit_1_with_the_reasons(live: Live) -> None:
    """Also one whose store cannot be read, and one that is not there."""
    readiness = Readiness(False, {"store": "takes no writes: its disk is full; the log says more"})
    reload = LastReload(False, START)
    live.world.status = replace(
        live.world.status, readiness=readiness, counts=None, space=Space(17, None), last_reload=reload
    )
    result = await live.notifier("status")
    assert result.exit_code == 1
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["ready"] == "NO"
    assert "  store     takes no writes: its disk is full; the log says more\n" in result.stdout
    assert (lines["providers"], lines["store"], lines["circuits"]) == ("none is paused", "17 bytes", "none is open")
    assert {lines[name] for name in ("watches", "deliveries", "oldest")} == {"unknown: the store cannot be read"}
    assert "REFUSED" in lines["reload"]
    live.world.status = replace(live.world.status, space=Space(0, None))  # of a server that does not answer
    assert "store       unknown: the store cannot be read\n" in (await live.notifier("status")).stdout
    assert (await live.notifier("status", "--json")).exit_code == 1
    assert (await live.notifier("status", "--url", "unix:/nonexistent")).exit_code == 1
    assert (await live.notifier("status", "--token", "wrong")).exit_code == 1
