"""`notifier` with names of the test's own in the place of the system's: run as `python -m tests.acceptance.named
NAMES.json run …`.

NAMES.json maps a name to its answers, each a list of addresses: the first look-up gets the first, and so on; the last
one repeats. Only names go this way; everything else is the real program.
"""

import json
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from notifier.__main__ import main

system = socket.getaddrinfo
names: dict[str, list[list[str]]] = json.loads(Path(sys.argv.pop(1)).read_text())
asked: Counter[str] = Counter()


def addresses(host: Any, *arguments: Any, **options: Any) -> list[Any]:
    if not isinstance(host, bytes):  # somebody who binds or connects to an address
        return system(host, *arguments, **options)
    name = host.decode("ascii")
    if name not in names:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    answers = names[name]
    answer = answers[min(asked[name], len(answers) - 1)]
    asked[name] += 1
    return [entry for address in answer for entry in system(address, None, type=socket.SOCK_STREAM)]


socket.getaddrinfo = addresses
if __name__ == "__main__":
    main()
