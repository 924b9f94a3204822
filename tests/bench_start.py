"""Time how long ``gancourse list`` and ``--help`` take to answer. Run by hand, on a machine that does nothing else.

python tests/bench_start.py [--times 10]

The course means them to answer within half a second. The tests count what they import instead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time


def seconds(words: list[str]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "gancourse", *words], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=10, metavar="N")
    options = parser.parse_args()
    for words in (["list"], ["--help"], ["list", "--json"]):
        taken = [seconds(words) for _ in range(options.times)]
        print(f"{' '.join(words):12} median {statistics.median(taken):.2f} s, fastest {min(taken):.2f} s")
    print(f"at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
