"""Time the checks of the exercises. Run by hand, on a machine that does nothing else.

    python tests/bench_checks.py [--set WORD] [--seeds 5]

It grades the reference, the right and the wrong answers of each exercise, and prints the median processor time of one
check. The exit status is 1 if one takes longer than it should.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from gancourse.checks import selftest, sets
from gancourse.checks.sets import INDEX

ROOT = Path(__file__).resolve().parents[1]
MILLISECONDS = 50.0
"""Median processor time of one check of an exercise that does not train."""

MILLISECONDS_TRAINING = 5_000.0


def slow(word: str, seeds: int) -> list[str]:
    """Print the times of a set, and return a sentence for each exercise that takes too long."""
    from gancourse import checks

    trains = {exercise.name for exercise in checks.load_set(word).exercises if exercise.trains}
    found = []
    for row in selftest.try_set(word, ROOT, seeds):
        allowed = MILLISECONDS_TRAINING if row.name in trains else MILLISECONDS
        print(f"{row.name:34}{row.median:10.1f} ms of {allowed:.0f}", flush=True)
        if row.median > allowed:
            found.append(f"{row.name}: {row.median:.0f} ms a check; {allowed:.0f} are meant")
    return found


def main() -> int:
    """Time, print, and return 1 if something is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", metavar="WORD", help="one set only, such as game or 01")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(1)
    words = [sets.word(options.set)] if options.set else list(INDEX)
    found = [sentence for word in words for sentence in slow(word, options.seeds)]
    print(f"at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: {len(found)} too slow")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
