"""Notifier as a service in the lab, with the units of this tree."""

import base64
from typing import Any

import yaml

from tests.acceptance.harness import SECRET, TOKEN, call
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.lab import PREFIX, SOURCE, Lab

UNITS = SOURCE / "systemd"
CONFIG = "/etc/notifier/config.yaml"
CREDENTIALS = "/etc/notifier/credentials"
STATE = "/var/lib/notifier"
ED25519 = "whsk_" + base64.b64encode(bytes(32)).decode()
FAULTS = ("block", "hog", "silence", "hang")
"""In the order of their signals, from SIGRTMIN on: faults/sitecustomize.py."""


class Service:
    """`notifier.service`, or an instance; installed by hand as the README says, and not started yet."""

    def __init__(
        self, lab: Lab, simulator: Simulator | None, unit: str = "notifier.service", listen: str = "127.0.0.1:8470"
    ) -> None:
        self.lab, self.unit, self.url = lab, unit, f"http://{listen}"
        self.instance = unit.removesuffix(".service").partition("@")[2]
        self.config_file = f"/etc/notifier/{self.instance}.yaml" if self.instance else CONFIG
        self.state = f"{STATE}/{self.instance}" if self.instance else STATE
        self.config: dict[str, Any] = {
            "store": {"url": f"sqlite:///{self.state}/notifier.db"},
            "intake": {"listen": listen, "tokens": [{"name": "tests", "token": TOKEN}]},
            "providers": simulator.provider() if simulator else {"videos": {"api_key": ""}},
            "webhooks": {"secrets_file": "${CREDENTIALS_DIRECTORY}/webhook_secret", "allow_networks": ["127.0.0.0/8"]},
        }
        videos = self.config["providers"]["videos"]
        del videos["api_key"]
        videos["api_key_file"] = "${CREDENTIALS_DIRECTORY}/videos_api_key"
        self._since = ""

    def install(self) -> None:
        for unit in UNITS.glob("*.s*"):
            self.lab.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
        self.lab.do("systemd-sysusers", "/etc/systemd/system/notifier.sysusers")
        self.lab.do("install", "-d", "-m", "0750", "-g", "notifier", "/etc/notifier")
        self.lab.do("install", "-d", "-m", "0700", CREDENTIALS)
        self.lab.write(f"{CREDENTIALS}/videos_api_key", "key-for-tests\n", mode=0o600)
        self.lab.write(f"{CREDENTIALS}/webhook_secret", f"{SECRET}\n{ED25519}\n", mode=0o600)
        self.drop_in("credentials", (UNITS / "drop-ins" / "credentials.conf").read_text())
        self.configure()
        self.listen_to_the_journal()

    def listen_to_the_journal(self) -> None:
        """Whatever it says of others before does not count."""
        self._since = self.lab.journal("--lines=1")[0]["__CURSOR"]

    def configure(self) -> None:
        self.write_config(yaml.safe_dump(self.config))

    def write_config(self, text: str) -> None:
        self.lab.write(self.config_file, text, mode=0o640, owner="root:notifier")

    def drop_in(self, name: str, text: str) -> None:
        folder = "notifier@.service.d" if self.instance else "notifier.service.d"
        self.lab.write(f"/etc/systemd/system/{folder}/{name}.conf", text)
        self.lab.do("systemctl", "daemon-reload")

    def allow_faults(self, watchdog: str = "2s") -> None:
        """Let the tests break the daemon from inside, and the watchdog be quick about it."""
        quick = f"WatchdogSec={watchdog}\nRestartSec=100ms\n"
        self.drop_in("faults", f"[Service]\nEnvironment=PYTHONPATH={PREFIX}/faults\n{quick}")

    def fault(self, name: str) -> None:
        self.signal(f"SIGRTMIN+{FAULTS.index(name)}")

    def signal(self, name: str) -> None:
        self.lab.do("systemctl", "kill", "--kill-whom=main", f"--signal={name}", self.unit)

    def start(self) -> None:
        started = self.lab.run("systemctl", "start", self.unit)
        assert started.returncode == 0, self.lab.run("journalctl", "-q", "-u", self.unit, "-n", "40").stdout

    def stop(self) -> None:
        self.lab.do("systemctl", "stop", self.unit)

    def remove(self) -> None:
        """As if it had never been there."""
        self.lab.run("systemctl", "stop", "notifier.socket", self.unit)
        for left in (CREDENTIALS, "/etc/notifier", STATE, "/var/lib/private"):
            self.lab.do("rm", "-rf", left)
        self.lab.run("sh", "-c", "rm -rf /etc/systemd/system/notifier*")
        self.lab.run("systemctl", "daemon-reload")
        self.lab.run("systemctl", "reset-failed")

    def show(self, name: str) -> str:
        return self.lab.show(self.unit, name)

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    def restarted(self, before: int) -> bool:
        """Whether it is another process than `before`, and ready."""
        return self.pid not in (0, before) and self.show("ActiveState") == "active"

    def logged(self) -> list[str]:
        """The messages of the unit, its processes' and systemd's about it, the oldest first."""
        return [str(entry["MESSAGE"]) for entry in self.journal()]

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Its entries, of these alone that match, as in `journalctl -u notifier TASK_ID=…`."""
        # Not --after-cursor=: it passes over the first match when the cursor's own entry is none.
        entries = self.lab.journal(f"--unit={self.unit}", f"--cursor={self._since}", *matches)
        return [entry for entry in entries if entry["__CURSOR"] != self._since]

    def says(self, *words: str) -> list[str]:
        """Messages with all these words."""
        return [line for line in self.logged() if all(word in line for word in words)]

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return call(self.url, method, path, body)

    def watch(self, task_id: str, callback_url: str) -> dict[str, Any]:
        status, watch = self.call("POST", "/v1/watches", {"task_id": task_id, "callback_url": callback_url})
        assert status in (200, 201), watch
        return dict(watch)

    def pid_outside(self) -> int:
        (pid,) = self.lab.pids(self.unit)
        return pid
