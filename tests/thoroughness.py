"""How many examples a property is tried with."""

import os

CI = bool(os.environ.get("CI"))
"""The examples are the same each time; elsewhere they are new each time."""
THOROUGH = CI and os.environ.get("EXAMPLES") != "few"


def examples(most: int) -> int:
    """All of them where everything is tried, a quarter elsewhere."""
    return most if THOROUGH else max(10, most // 4)
