"""What one machine manages: the daemon as a process on one core, everything that it talks to on another.

    python -m tests.benchmarks [rates] [crowd] [flow] [--rounds 3] [--seconds 8] [--watches 100000]

No test: it only measures. Figures are medians over the rounds. Those of one run can be compared with each other; with
those of another run or machine only as ratios. Run it while nothing else does.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping

from tests.benchmarks import flow, machine, polls
from tests.benchmarks.table import Row, printed

PARTS: Mapping[str, Callable[[argparse.Namespace], Iterable[Row]]] = {
    "rates": polls.rates,
    "crowd": polls.crowds,
    "flow": flow.rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all of them")
    parser.add_argument("--rounds", type=int, default=3, help="of what is repeated (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of one measurement (default: %(default)g)")
    parser.add_argument("--watches", type=int, default=100_000, help="where there are many (default: %(default)s)")
    chosen = parser.parse_args()
    print(machine.described(), flush=True)
    rows = [row for name, part in PARTS.items() if name in (chosen.parts or PARTS) for row in part(chosen)]
    print(printed(rows))
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
