"""Where a service keeps its things, and to whom they belong."""

from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "notifier"
"""The user that the service runs as, and its group."""
WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 - the credential's name
API_KEY = "videos_api_key"
CREDENTIALS = (WEBHOOK_SECRET, API_KEY)
"""What the starter configuration reads from $CREDENTIALS_DIRECTORY."""
SERVICE = "notifier.service"
RUNNING_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a file or folder is, by name, and its permission bits."""

    user: str
    group: str
    mode: int

    def __str__(self) -> str:
        return f"{self.user}:{self.group} {self.mode:04o}"


FOR_ALL = Ownership("root", "root", 0o755)
UNIT_FILE = Ownership("root", "root", 0o644)
CONFIG_FOLDER = Ownership("root", ACCOUNT, 0o750)
CONFIG_FILE = Ownership("root", ACCOUNT, 0o640)
CREDENTIAL_FOLDER = Ownership("root", "root", 0o700)
CREDENTIAL_FILE = Ownership("root", "root", 0o600)
NEW_FOLDER = Ownership("root", "root", 0o700)
"""What each folder is made as, until it is given to those whom it should belong to."""
STATE_FOLDER = Ownership(ACCOUNT, ACCOUNT, 0o700)


def saved_path(unit: Path) -> Path:
    """Where an edited unit is kept when it is uninstalled."""
    return unit.with_name(f"{unit.name}.saved")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below `root`, which is / unless another system's tree is being filled."""

    root: Path = RUNNING_ROOT

    @property
    def is_live(self) -> bool:
        """Whether this is the system that we run on: only there are accounts, owners and systemd ours to change."""
        return self.root == RUNNING_ROOT

    @property
    def config_folder(self) -> Path:
        return self.root / "etc/notifier"

    @property
    def config(self) -> Path:
        return self.config_folder / "config.yaml"

    @property
    def credentials(self) -> Path:
        return self.config_folder / "credentials"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/notifier"

    @property
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    @property
    def drop_in(self) -> Path:
        """Which credentials the service is given."""
        return self.units / f"{SERVICE}.d/credentials.conf"
