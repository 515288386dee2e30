"""The machine under the benchmarks, and what processes cost it."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

SHOWN = ("httpx", "aiohttp", "apscheduler", "sqlalchemy", "fastapi")


def described() -> str:
    """What figures depend on: processor, cores and versions; nothing that names this one machine."""
    libraries = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release().split('-')[0]}, CPython {platform.python_version()}"
    return f"{processor()}, {cores} cores; {system}; SQLite {sqlite3.sqlite_version}, {libraries}"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def cores() -> tuple[int, int]:
    """One core for what is measured, and another one (where there is one) for everything that it talks to."""
    available = sorted(os.sched_getaffinity(0))
    return available[-1], available[0]


def pin(pid: int, core: int) -> None:
    """This process and its threads, those to come included."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, to a hundredth (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """What a process has in memory now (proc(5), the second field of statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
