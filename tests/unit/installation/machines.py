"""Machines as an installation may find them."""

from dataclasses import replace
from pathlib import Path

from notifier.installation import starter
from notifier.installation.layout import (
    CONFIG_FILE,
    CONFIG_FOLDER,
    CREDENTIAL_FILE,
    CREDENTIAL_FOLDER,
    FOR_ALL,
    STATE_FOLDER,
    UNIT_FILE,
    Layout,
)
from notifier.installation.machine import Found, Machine, Sight
from notifier.installation.plan import Wishes
from notifier.installation.unit import marked

LIVE = Layout()
SERVICE_TEXT = "[Service]\nExecStart=/opt/notifier/bin/notifier run\n"
UNITS = {
    "notifier.service": SERVICE_TEXT,
    "notifier.socket": "[Socket]\nListenStream=127.0.0.1:8470\n",
    "notifier@.service": "[Service]\nExecStart=/opt/notifier/bin/notifier run --config /etc/notifier/%i.yaml\n",
}
SERVICE = LIVE.units / "notifier.service"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = LIVE.credentials / "videos_api_key"
WISHES = Wishes(LIVE, "2.0", UNITS, SECRET)
NEW = Machine({LIVE.units: Found("folder", FOR_ALL)}, account_tool="useradd", booted=True)
"""A machine with systemd that has never seen Notifier."""


def unit_sight(body: str, version: str = "2.0") -> Found:
    """A unit as it is installed."""
    return Found("file", UNIT_FILE, 1, marked(body, version))


def installed() -> Machine:
    """The same machine after an installation and a start."""
    sights: dict[Path, Sight] = {
        LIVE.units: Found("folder", FOR_ALL),
        LIVE.config_folder: Found("folder", CONFIG_FOLDER),
        LIVE.credentials: Found("folder", CREDENTIAL_FOLDER),
        LIVE.state: Found("folder", STATE_FOLDER),
        LIVE.config: Found("file", CONFIG_FILE, 1000),
        LIVE.credentials / "webhook_secret": Found("file", CREDENTIAL_FILE, 40),
        KEY: Found("file", CREDENTIAL_FILE, 20),
        LIVE.drop_in.parent: Found("folder", FOR_ALL),
        LIVE.drop_in: unit_sight(starter.DROP_IN),
        **{LIVE.units / name: unit_sight(body) for name, body in UNITS.items()},
    }
    return Machine(
        sights,
        user=True,
        user_is_ours=True,
        group=True,
        account_tool="useradd",
        booted=True,
        active=True,
        enabled=True,
    )


def but(machine: Machine, sights: dict[Path, Sight]) -> Machine:
    """The machine with some other sights."""
    return replace(machine, sights={**machine.sights, **sights})
