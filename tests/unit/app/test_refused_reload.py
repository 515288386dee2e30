"""A reload that the store refuses: nothing of it is ever in force, not even for a moment."""

from typing import Any, cast

import pytest

from notifier.adapters.stores.store import SqlStore
from notifier.adapters.systemd import ServiceManager
from notifier.app.daemon import Daemon
from notifier.config import Loaded, Settings, parse
from notifier.domain.address import Refusal
from notifier.ports import StoreUnavailableError
from tests.fake_store import FakeStore

CONFIG = """
providers: {{videos: {{api_key: k}}}}
intake: {{hosts: [{host}]}}
webhooks: {{secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, allow_networks: [{networks}]}}
"""


def settings(host: str, networks: str) -> Settings:
    loaded = parse(CONFIG.format(host=host, networks=networks), "config.yaml", {}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    return loaded.settings


class Slow(FakeStore):
    """Calls `meanwhile` while the declared watches are being stored."""

    meanwhile: Any = None

    async def declare(self, *asked: Any) -> Any:
        await self.meanwhile()
        return await super().declare(*asked)


@pytest.mark.parametrize("down", [True, False])
async def test_what_is_in_force_changes_with_the_store_or_not_at_all(
    down: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the watches are being stored, attempts and the Host check go by what was there before; afterwards by
    the new settings, if the store took the watches, and else by the old ones still."""
    old, new = settings("old.example", "127.0.0.0/8"), settings("new.example", "")
    monkeypatch.setattr("notifier.app.daemon.configure_logs", lambda _: None)  # it is the whole process's
    store, seen = Slow(), []
    daemon = Daemon(old, lambda: Loaded(new), cast("SqlStore", store), None, ServiceManager())
    daemon._reach = "loopback"

    async def look() -> None:
        refused = await daemon.parts.post_http.check("http://127.0.0.1/hook")
        hosts = daemon._hosts()
        seen.append((isinstance(refused, Refusal), tuple(hosts or ())))

    store.meanwhile = look
    try:
        if down:
            store.down = True
            with pytest.raises(StoreUnavailableError):
                await daemon.reload()
        else:
            await daemon.reload()
        await look()
    finally:
        await daemon.stop()
    before, after = (False, ("old.example",)), (True, ("new.example",))
    assert seen == [before, before if down else after]
