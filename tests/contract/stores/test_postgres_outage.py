"""A PostgreSQL that is away, full, crowded or read-only: every write is refused with a reason and a hint, nothing is
lost, and it works again by itself."""

import asyncio
import shutil
import threading
import time
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from notifier.adapters.stores import postgres
from notifier.adapters.stores.aside import Aside
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.patience import CLOSE_SECONDS
from notifier.adapters.stores.postgres import conninfo, open_postgres
from notifier.adapters.stores.postgres_errors import explainer, passes
from notifier.adapters.stores.wire import PostgresWire
from notifier.ports import Page, StoreUnavailableError
from tests.contract.stores.building import T0, Announcer, nothing_known, registration
from tests.cuttable_wire import Wire
from tests.fake_pool import FakeTenure
from tests.postgres_server import PostgresServer, shared_server
from tests.small_disk import small_disk

PASSWORD = "planted-pa55word"


@pytest.fixture
def url():
    with shared_server().database() as url:
        yield url


@pytest.fixture
async def store(url):
    store = await open_postgres(url)
    yield store
    await store.close()


@pytest.fixture
def server():
    """One that may be stopped."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def database_of(url):
    return url.rpartition("/")[2]


def register(store, number):
    return store.register([registration(number, f"vid_{number}")], T0, Announcer())


async def refused(store):
    with pytest.raises(StoreUnavailableError) as caught:
        await store.ping()
    assert caught.value.fault == store.fault()
    return caught.value.fault


async def said(lines):
    async with asyncio.timeout(30):
        while not lines:
            await asyncio.sleep(0.02)


def told(lines):
    return [(line["event"], line.get("reason") or line.get("after")) for line in lines]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_away_is_one_line_and_then_another(server, mode):
    """However it went: writes and reads are refused at once, and work again on the same store when it is back."""
    store = await open_postgres(server.url())
    await register(store, 1)
    with capture_logs() as lines:
        server.stop(mode)
        began = time.monotonic()
        assert [await refused(store) for _ in range(5)] == ["unreachable"] * 5
        with pytest.raises(StoreUnavailableError):
            await store.counts()
        assert time.monotonic() - began < 5
        server.start()
        await register(store, 2)
    assert told(lines) == [("store.unavailable", "unreachable"), ("store.available", "unreachable")]
    assert "it works again as soon as the server takes connections" in lines[0]["error"]
    assert (await store.counts()).watches["watching"] == 2
    await store.close()


async def test_a_connection_that_died_at_rest_is_not_noticed(server):
    """After a restart of the server nobody is refused: a connection is made anew when it is needed."""
    store = await open_postgres(server.url())
    await register(store, 1)
    assert (await store.counts()).watches["watching"] == 1
    server.stop()
    server.start()
    with capture_logs() as lines:
        await register(store, 2)
        assert (await store.counts()).watches["watching"] == 2
    assert lines == []
    await store.close()


async def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(url, store):
    """The write is refused, nothing of it is there, and the next one succeeds."""

    def cut(connection):
        connection.execute(text("UPDATE pulse SET beats = 77"))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        shared_server().execute(f"SELECT pg_terminate_backend({pid})")
        connection.execute(text("UPDATE pulse SET beats = 78"))

    with pytest.raises(StoreUnavailableError) as caught:
        await store._writer.write(cut)
    assert caught.value.fault == "unreachable"
    await store.ping()
    assert shared_server().execute("SELECT beats FROM pulse", database_of(url)) == [(1,)]


async def test_a_commit_whose_outcome_is_unknown_is_no_success(url, store):
    """The connection is lost in COMMIT: whoever asked is told that it is not known to be done, and asks again."""
    for statement in (
        """CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'""",
        """CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON watches DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW WHEN (NEW.id LIKE '%1') EXECUTE FUNCTION end_it()""",
    ):
        shared_server().execute(statement, database_of(url))
    with pytest.raises(StoreUnavailableError) as caught:
        await register(store, 1)
    assert caught.value.fault == "unreachable"
    shared_server().execute("DROP TRIGGER at_commit ON watches", database_of(url))
    (again,) = await register(store, 1)
    assert again.created


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(url, monkeypatch):
    """Where a proxy acknowledges what is sent, no time-out of the network ends the wait: writes and lists are refused
    all the same, no thread is lost to it, and it works again by itself."""
    for name in ("_WRITE_MILLISECONDS", "_LIST_MILLISECONDS"):
        monkeypatch.setattr(postgres, name, 300)
    monkeypatch.setattr(postgres, "_SLACK_SECONDS", 0.2)
    port = urlsplit(url).port
    wire = Wire(port)
    store = await open_postgres(url.replace(f":{port}/", f":{wire.port}/") + "?connect_timeout=2")
    await register(store, 1)
    assert len((await store.watches(Page())).watches) == 1
    wire.cut()
    began = time.monotonic()
    for attempt in (register(store, 2), store.watches(Page()), store.watches(Page()), store.watches(Page())):
        with pytest.raises(StoreUnavailableError) as refused:
            await attempt
        assert refused.value.fault == "unreachable"
    assert time.monotonic() - began < 10
    wire.mend()
    await register(store, 3)
    assert len((await store.watches(Page())).watches) >= 2
    await store.close()
    wire.close()


async def test_a_silent_server_keeps_no_stop_waiting(url):
    """Whatever waits for it ends as soon as it is of no more use: statements, connections that are being made, beats
    and news. No thread is left that the process would have to wait for."""
    port = urlsplit(url).port
    wire = Wire(port)
    through = url.replace(f":{port}/", f":{wire.port}/") + "?connect_timeout=60"
    store, aside, heard = await open_postgres(through), Aside(through), asyncio.Event()
    news = PostgresWire(conninfo(through), FakeTenure("node_1"))
    news.listen(lambda _: heard.set())
    await heard.wait()
    await store.ping()
    wire.cut()
    waiting = [store.ping(), store.counts(), aside.beats(ask), aside.moves(ask)]  # the last three have to connect
    outcomes = asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(0.3)
    threads = {thread for thread in threading.enumerate() if thread.name.startswith("store")}
    began = time.monotonic()
    await asyncio.gather(store.close(), aside.close(), news.close())
    assert time.monotonic() - began < CLOSE_SECONDS + 3
    assert [type(outcome) for outcome in await outcomes] == [StoreUnavailableError] * 4
    assert len(threads) == 5
    assert not any(thread.is_alive() for thread in threads)
    wire.close()


def ask(connection):
    return connection.execute(text("SELECT 1")).scalar_one()


async def test_a_crowded_server_is_named_so(url):
    """Whoever cannot connect hears why, waits, and goes on by itself."""
    server = shared_server()
    server.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 4")
    try:
        server.execute(f"ALTER DATABASE {database_of(url)} OWNER TO crowded")
        store = await open_postgres(url.replace("notifier@", "crowded@"))
        await store.ping()
        server.execute("ALTER ROLE crowded CONNECTION LIMIT 0")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowded'")
        with capture_logs() as lines:
            assert await refused(store) == "crowded"
            server.execute("ALTER ROLE crowded CONNECTION LIMIT 4")
            await store.ping()
        assert "raise max_connections or the role's limit" in lines[0]["error"]
        await store.close()
    finally:
        server.drop(database_of(url))
        server.execute("DROP ROLE crowded")


async def test_a_read_only_database_still_answers_readers(url, store):
    """A standby after a failover, or an operator's switch: writes are refused, lists are shown."""
    await register(store, 1)
    switch, cut = (
        f"ALTER DATABASE {database_of(url)} SET default_transaction_read_only = {{}}",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database_of(url)}'",
    )
    shared_server().execute(switch.format("on"))
    shared_server().execute(cut)
    assert await refused(store) == "read-only"
    assert (await store.counts()).watches["watching"] == 1
    shared_server().execute(switch.format("off"))
    shared_server().execute(cut)
    await store.ping()


async def test_a_lock_is_not_waited_for_for_ever(url, store, monkeypatch):
    """Somebody's maintenance locks a table: the intake's clients hear so before they give up."""
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE watches IN EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="another program holds a lock") as caught:
            await register(store, 1)
        assert caught.value.fault == "locked"
        assert 1.5 < time.monotonic() - began < 15
    await register(store, 1)


async def test_a_daemon_that_is_stopped_in_a_transaction_holds_no_locks(url, monkeypatch):
    """The server ends its transaction; when it wakes up it hears that nothing of it happened."""
    monkeypatch.setattr(postgres, "_IDLE_MILLISECONDS", 100)
    store = await open_postgres(url)

    def sleep(connection):
        connection.execute(text("UPDATE pulse SET beats = 77"))
        time.sleep(0.5)
        connection.execute(text("UPDATE pulse SET beats = 78"))

    with pytest.raises(StoreUnavailableError, match="was held up inside a transaction"):
        await store._writer.write(sleep)
    await store.ping()
    assert shared_server().execute("SELECT beats FROM pulse", database_of(url)) == [(1,)]
    await store.close()


async def test_a_full_disk_is_named_and_survived(url, store, tmp_path):
    """Registrations are refused while a table cannot grow, reads go on, and with room they are taken again."""
    server = shared_server()
    folder = server.folder / "small"
    with small_disk(folder, "4m") as disk:
        server.give(disk)
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        try:
            server.execute("ALTER TABLE watches SET TABLESPACE small", database_of(url))
            await register(store, 0)
            filler = disk / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(disk).free - 16_384))
            wanted = [registration(number, f"vid_{number}", metadata="x" * 4000) for number in range(1, 200)]
            with pytest.raises(StoreUnavailableError, match="free some space on the server's disk") as caught:
                await store.register(wanted, T0, Announcer())
            assert caught.value.fault == "full"
            assert (await store.counts()).watches["watching"] >= 1
            filler.unlink()
            await register(store, 999)
        finally:
            await store.close()
            server.execute(f"ALTER DATABASE {database_of(url)} SET TABLESPACE pg_default")
            server.execute("ALTER TABLE watches SET TABLESPACE pg_default", database_of(url))
            server.execute("DROP TABLESPACE small")


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("08006", "unreachable"),
        ("25006", "read-only"),
        ("25P03", "failing"),
        ("28P01", "failing"),
        ("3D000", "missing"),
        ("40P01", "locked"),
        ("40001", "locked"),
        ("42501", "failing"),
        ("42P01", "missing"),
        ("53100", "full"),
        ("53200", "failing"),
        ("53300", "crowded"),
        ("55P03", "locked"),
        ("57014", "failing"),
        ("57P01", "unreachable"),
        ("57P03", "unreachable"),
        ("58030", "failing"),
        ("XX000", "failing"),
        ("XX001", "damaged"),
        ("23505", None),
        ("22001", None),
        ("42601", None),
    ],
)
def test_what_the_server_says_becomes_a_word(code, fault):
    """By its code; None is a fault of ours, which is no outage."""
    error = OperationalError("SELECT 1", {}, psycopg.errors.lookup(code)("trouble"))
    reason = explainer("postgresql://h/d")(error)
    assert (reason and reason.fault) == fault


def test_a_question_of_the_driver_is_not_glued_to_our_answer():
    """libpq asks whether the server runs on a line of its own, without a full stop before."""
    asked = "port 1 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?"
    reason = explainer("postgresql://h/d")(OperationalError("", {}, psycopg.OperationalError(f"{asked}\n{asked}")))
    assert "running" not in str(reason)
    assert "Connection refused; it works again as soon as" in str(reason)


async def test_a_text_that_no_row_can_hold_is_no_outage(store):
    """Whoever may call the intake may ask for it; SQLite's rows can hold NUL, and nothing is found there either."""
    with capture_logs() as lines:
        assert await store.watch("wch_\0") is None
        assert await store.cancel("wch_\0", T0, nothing_known) is None
        assert (await store.watches(Page(), task_id="vid\0")).watches == ()
        (made,) = await store.register([registration(1, metadata='{"a": "\0"}')], T0, Announcer())
    assert made.created
    assert lines == []


async def test_what_the_driver_refuses_is_a_fault_of_ours(store):
    """Not the server's: nobody is told that the store is away."""
    with capture_logs() as lines, pytest.raises(UnicodeEncodeError):
        await store._writer.write(lambda on: on.execute(text("SELECT :half"), {"half": "\ud800"}))
    error = DBAPIError("SELECT 1", {}, psycopg.DataError("cannot be sent"))
    assert explainer("postgresql://h/d")(error) is None
    assert lines == []


@pytest.mark.parametrize(
    ("words", "fault", "waits"),
    [
        ("connection refused", "unreachable", True),
        ('could not translate host name "db" to address: Name or service not known', "unreachable", True),
        ("FATAL:  the database system is starting up", "unreachable", True),
        ("FATAL:  sorry, too many clients already", "crowded", True),
        ('FATAL:  too many connections for role "n"', "crowded", True),
        ("FATAL:  remaining connection slots are reserved for roles with …", "crowded", True),
        ('FATAL:  password authentication failed for user "n"', "failing", False),
        ("fe_sendauth: no password supplied", "failing", False),
        ('FATAL:  role "n" does not exist', "failing", False),
        ('FATAL:  database "d" does not exist', "missing", False),
        ('FATAL:  no pg_hba.conf entry for host "::1", user "n"', "failing", False),
        ("server does not support SSL, but SSL was required", "failing", False),
        ('FATAL:  role "n" is not permitted to log in', "failing", False),
        ('FATAL:  permission denied for database "d"', "failing", False),
    ],
)
def test_while_connecting_only_words_tell(words, fault, waits):
    """Whoever starts waits for what may pass, and says at once what will not."""
    error = OperationalError("", {}, psycopg.OperationalError(f"connection failed:\n  {words}"))
    reason = explainer("postgresql://h/d")(error)
    assert (reason.fault, passes(error)) == (fault, waits)
    assert "\n" not in str(reason)


async def test_a_commit_is_on_the_disk_whatever_the_server_does_for_others(url):
    """A server, database or role may be set to answer earlier, for programs that can lose their latest writes."""
    shared_server().execute(f"ALTER DATABASE {database_of(url)} SET synchronous_commit = off")
    store = await open_postgres(url)
    told = await store._writer.write(lambda on: on.execute(text("SHOW synchronous_commit")).scalar_one())
    assert told == "on"
    shared_server().execute(f"ALTER DATABASE {database_of(url)} SET synchronous_commit = remote_apply")
    await store.close()
    store = await open_postgres(url)
    told = await store._writer.write(lambda on: on.execute(text("SHOW synchronous_commit")).scalar_one())
    assert told == "remote_apply"
    await store.close()


# Starting


async def test_a_start_waits_for_its_server(server):
    """Machines boot in any order: it says that it waits, once, and goes on when the server is there."""
    server.stop()
    with capture_logs() as lines:
        opening = asyncio.create_task(open_postgres(server.url()))
        await asyncio.sleep(1.5)
        await asyncio.to_thread(server.start)
        store = await opening
    await store.close()
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("store.awaited", "warning")
    assert line["hint"] == "the daemon starts as soon as that is over, and gives up after 30 s"


async def test_a_start_waits_for_a_server_that_takes_no_writes(server):
    """A standby is made the primary while daemons start, also where their tables are there already."""
    await (await open_postgres(server.url())).close()
    server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match="takes no writes; it is a standby or set read-only"):
        await open_postgres(server.url(), patience=0.0)
    with capture_logs() as lines:
        opening = asyncio.create_task(open_postgres(server.url()))
        await said(lines)
        with server.connect(server.url()) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        await (await opening).close()
    assert [line["event"] for line in lines] == ["store.awaited"]


async def test_a_start_waits_for_connections_that_others_have(server):
    """Also for its second and third: they are made while it can wait, and kept."""
    await (await open_postgres(server.url())).close()
    server.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1")
    server.execute("GRANT notifier TO narrow")
    with capture_logs() as lines:
        opening = asyncio.create_task(open_postgres(server.url(user="narrow")))
        await said(lines)
        server.execute("ALTER ROLE narrow CONNECTION LIMIT 3")
        await (await opening).close()
    assert [line["event"] for line in lines] == ["store.awaited"]
    assert "too many connections for role" in lines[0]["error"]


async def test_a_start_gives_up_and_says_why(server):
    """In words that hold no password."""
    server.stop()
    with capture_logs() as lines, pytest.raises(StoreError, match="works again as soon as the server takes") as caught:
        await open_postgres(server.url(password=PASSWORD), patience=0.1)
    assert PASSWORD not in f"{caught.value} {lines}"
    assert str(caught.value).startswith(f"postgresql://127.0.0.1:{server.port}/postgres: ")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace("notifier@", f"nobody:{PASSWORD}@"), "correct user and password .*PGPASSWORD"),
        (lambda url: url + "_other", "create it: createdb"),
        (lambda url: url + "?sslmode=sometimes", "invalid sslmode .*; correct the parameters behind"),
        (lambda url: url.replace("notifier@", f"notifier:{PASSWORD}@") + "?quux=1", "does not know: quux; correct"),
        (lambda url: url.replace("notifier@", f"notifier:{PASSWORD}@") + "?quux", "is no URL that PostgreSQL under"),
    ],
)
async def test_what_will_not_pass_is_said_at_once(url, change, says):
    """A wrong role, database or parameter is not waited for."""
    began = time.monotonic()
    with pytest.raises(StoreError, match=says) as caught:
        await open_postgres(change(url))
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(caught.value)


async def test_a_role_without_rights_hears_what_to_grant(url):
    """It may connect, and may not make tables."""
    server = shared_server()
    server.execute("CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(StoreError, match=r"permission denied .*; make the role the owner .*ALTER DATABASE"):
            await open_postgres(url.replace("notifier@", "guest@"))
    finally:
        server.execute("DROP ROLE guest")
