"""What a process in the service's place may do, written as JSON: probe.py RESULT [READ:PATH | WRITE:FOLDER] …

Each is told as what was read, as "" for what was written, or as "!" and the reason why not.
"""

import json
import os
import sys
from pathlib import Path


def attempt(wish: str) -> str:
    verb, _, path = wish.partition(":")
    try:
        if verb == "READ":
            return Path(path).read_text()
        Path(path, "probe").touch()
    except OSError as error:
        return f"!{error.strerror}"
    return ""


result, *wishes = sys.argv[1:]
found = {wish: attempt(wish) for wish in wishes}
found["uid"] = str(os.getuid())
found["status"] = attempt("READ:/proc/self/status")
Path(result).write_text(json.dumps(found))
