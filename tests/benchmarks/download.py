"""How quick one download is, beside curl's of the same file from the same server. No test: it only measures.

    python -m tests.benchmarks.download [--mib 300] [--rounds 5] [--folder FOLDER]

What Notifier does more than curl: the SHA-256, the guard, and the sync before the file gets its name.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract.archive.child import measured
from tests.contract.archive.source import source

MIB = 1024 * 1024
PIECE_BYTES = 256 * 1024


def curl_seconds(url: str, target: Path) -> float:
    """As curl itself tells: without the start of its process. Where there is no curl, a plain copy takes its place."""
    if shutil.which("curl") is None:
        return copy_seconds(url, target)
    command = ["curl", "--silent", "--fail", "--output", str(target), "--write-out", "%{time_total}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    target.unlink()
    return float(done.stdout)


def copy_seconds(url: str, target: Path) -> float:
    """The least that must be done: from the socket into the hash and the file, in pieces, one after the other."""
    began, digest = time.perf_counter(), hashlib.sha256()
    with urllib.request.urlopen(url, timeout=300) as answer, target.open("wb") as writing:
        while piece := answer.read(PIECE_BYTES):
            digest.update(piece)
            writing.write(piece)
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def rounds(folder: Path, mib: int, count: int) -> Iterator[tuple[float, dict[str, Any]]]:
    """Seconds of curl, and all that is known of ours, one after the other so that both have the same machine."""
    file = folder / "source"
    with file.open("wb") as writing:
        for _ in range(mib):
            writing.write(bytes(range(256)) * (MIB // 256))
        os.fsync(writing.fileno())  # or the disk would be busy with it while ours waits for the disk
    with source(file) as url:
        for _ in range(count):
            curl = curl_seconds(f"{url}large", folder / "curl")
            ours = measured(url, "large", folder / "ours")
            shutil.rmtree(folder / "ours")
            yield curl, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where files are written (default: the one for temporary files)")
    wanted = parser.parse_args()
    print("curl MB/s  notifier MB/s  ratio  memory MiB  loop delay p99 ms  worst ms")
    with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
        for curl, ours in rounds(Path(folder), wanted.mib, wanted.rounds):
            speeds = [wanted.mib * MIB / seconds / 1e6 for seconds in (curl, ours["seconds"])]
            print(
                f"{speeds[0]:9.0f}  {speeds[1]:13.0f}  {speeds[1] / speeds[0]:5.2f}  {ours['grown_mib']:10.1f}"
                f"  {ours['delay_p99'] * 1000:17.1f}  {ours['delay_worst'] * 1000:8.1f}"
            )


if __name__ == "__main__":
    main()
