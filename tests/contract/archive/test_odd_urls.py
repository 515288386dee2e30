"""Whatever a URL or an answer says: a try ends with a result, and never with an exception."""

from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from notifier.adapters.http import Home, origin
from notifier.domain.address import Refusal, examine
from notifier.ports import SaveOrder, Unsaved
from tests.contract.archive.conftest import kept
from tests.contract.archive.servers import content, honest, in_turn, saying
from tests.thoroughness import examples

NAME = "videos/vid_1/wch_1-0"
ODD = (
    "https://127.0.0.1:1/" + "é" * 12_000,
    "https://127.0.0.1:1/?" + "漢" * 8_000,
    "https://127.0.0.1:1/" + "%" * 60_000,
    "http://xn--0/",
    "http://xn--a.localhost:1/",
    "http://xn--ls8h=.localhost:1/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:1/\ud800",
    "http://[::1%25eth0]/",
    "http://[fe80::1%25]/",
    "http://localhost..:1/",
    "http://user@127.0.0.1/",
    "http://127.0.0.1:1/#\N{SNOWMAN}",
)
PIECES = st.sampled_from(["http://", "https://", "127.0.0.1:1", "xn--", "[::1]", "é", "ß", *".:/?#%@=&"])


@pytest.mark.parametrize("url", ODD, ids=range(len(ODD)))
async def test_an_odd_url_is_refused_or_broken(archive, root, url):
    """Also one that grows beyond all bounds when it is encoded, and one whose host is no name."""
    built = await archive()
    assert isinstance(await built.save(SaveOrder(url, NAME, "videos")), Unsaved)
    assert kept(root) == []


@pytest.mark.parametrize("url", [ODD[0], ODD[1]])
async def test_a_url_that_cannot_be_sent_is_given_up(archive, url):
    """No later try can send it, at home or elsewhere."""
    for home in (Home(), Home(frozenset({origin(url)}))):
        unsaved = await (await archive(home=home)).save(SaveOrder(url, NAME, "videos"))
        assert isinstance(unsaved, Unsaved)
        assert unsaved.reason == "refused"


@pytest.mark.parametrize("location", [*ODD[:6], "/" + "é" * 12_000, "//xn--0/", "\x80\xff", "http:///", "http://%00/"])
async def test_an_odd_redirect_raises_nothing(archive, serve, location):
    """It comes from the network, so it may be anything."""
    data = location.encode("utf-8", "replace").decode("latin-1")
    redirect, gone = saying("302 Found", Location=data, Content_Length=0), saying("404 Not Found", Content_Length=0)
    server = await serve(in_turn(redirect, gone))
    with capture_logs() as logs:
        assert isinstance(await (await archive()).save(SaveOrder(server.url, NAME, "videos")), Unsaved)
    assert not [line for line in logs if line["event"] == "daemon.fault"]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=60), st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)))
async def test_no_text_in_the_place_of_a_url_is_a_fault(archive, text):
    """With and without `https://` before it; nothing is looked up here, as nothing beyond loopback is listed."""
    built = await archive(guard=lambda: (ip_network("127.0.0.0/8"),))
    for url in (text, f"http://127.0.0.1:1/{text}", f"http://127.0.0.1:1{text}", f"http://xn--{text}"):
        target = examine(url, ())
        if not isinstance(target, Refusal) and target.literal is None:
            continue  # a name, which only a resolver could judge
        with capture_logs() as logs:
            assert isinstance(await built.save(SaveOrder(url, NAME, "videos")), Unsaved)
        assert not [line for line in logs if line["event"] == "daemon.fault"]


async def test_what_nobody_thought_of_is_told_once_and_tried_again(archive, serve, root):
    """A fault of ours is no reason to give up the file, nor to fill the log."""
    built = await archive()

    def broken(*_):
        raise ZeroDivisionError

    get, built._downloads.get = built._downloads.get, broken
    order = SaveOrder((await serve(honest(content(1000)))).url, NAME, "videos")
    with capture_logs() as logs:
        for _ in range(2):
            unsaved = await built.save(order)
            assert isinstance(unsaved, Unsaved)
            assert unsaved.reason == "broken"
    assert [line["event"] for line in logs] == ["daemon.fault"] * 2
    assert [line["log_level"] for line in logs] == ["error", "debug"]
    assert kept(root) == []
    built._downloads.get = get
    assert not isinstance(await built.save(order), Unsaved)
