"""`notifier demo`, as a newcomer runs it."""

import time
from pathlib import Path

from tests.acceptance.harness import Process


def test_the_demo_tells_its_story_in_under_30_seconds(tmp_path: Path) -> None:
    """It exits 0 by itself, and what it prints shows the polls, the failed attempts and the verified webhooks."""
    demo = Process(["demo"], tmp_path / "demo.log", fresh=True)
    began = time.monotonic()
    demo.start()
    assert demo.wait(30) == 0, demo.log.read_text()
    assert time.monotonic() - began < 30
    told = demo.log.read_text()
    for part in ("vid_sunrise: processing", "task.failed: signature valid", "503", "3 of 3 webhooks arrived"):
        assert part in told, told
