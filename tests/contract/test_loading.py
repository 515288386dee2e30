"""What a command loads before it does its work."""

import subprocess
import sys

LIBRARIES = {"aiohttp", "alembic", "apscheduler", "fastapi", "httpx", "obstore", "prometheus_client", "sqlalchemy"}
"""Those of the daemon; together they take a second to load."""

RUN_AND_TELL = """
import sys
from notifier.cli.root import app
for command in sys.argv[1:]:
    app(command.split(), standalone_mode=False)
sys.stderr.write(" ".join(sys.modules))
"""


def test_a_command_that_needs_no_daemon_loads_none_of_its_libraries() -> None:
    """Not to print a version or a secret, and not to simulate or to ask a daemon that runs elsewhere."""
    commands = ["--version", "secret new", "simulate --help", "watch list --help", "check --help", "verify --help"]
    ran = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, *commands], check=True, capture_output=True, text=True, timeout=60
    )
    assert LIBRARIES & set(ran.stderr.split()) == set()
