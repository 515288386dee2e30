"""What a process in the service's place can do, as JSON into the file named first: for each path its content, or why not."""

import json
import os
import sys
from pathlib import Path


def attempt(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        return f"!{error.strerror}"


def create(folder: str) -> str:
    try:
        (Path(folder) / "probe").write_text("")
    except OSError as error:
        return f"!{error.strerror}"
    return ""


result, *paths = sys.argv[1:]
found = {
    "uid": os.getuid(),
    "read": {path: attempt(path) for path in paths},
    "write": {folder: create(folder) for folder in ("/etc/notifier", "/etc", "/usr", "/var/lib", "/var/lib/notifier", "/tmp")},
    "processes": [name for name in os.listdir("/proc") if name.isdigit() and attempt(f"/proc/{name}/cmdline")[:1] != "!"],
    "capabilities": [line.split()[1] for line in attempt("/proc/self/status").splitlines() if line.startswith("CapBnd")],
}
Path(result).write_text(json.dumps(found))
