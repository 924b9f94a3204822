"""Time the grading of honest notebooks. Run by hand, on a machine that does nothing else.

    python tests/bench_grading.py [--set game] [--notebooks 10]

It grades all function exercises of a set, as answered in its solutions notebook, one after the other as one job does,
and prints how many answers a core grades in a second: of its own time, and by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import submissions as made

from gancourse import checks
from gancourse.checks import sets
from gancourse.checks.sets import INDEX
from gancourse.grading import isolation, notebooks, worker
from gancourse.grading.sandbox import Sandbox


def processes() -> set[int]:
    """Return the grader's processes that run."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"gancourse.grading" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
        except OSError:
            pass
    return found


def solved(word: str, number: int) -> bytes:
    """Return a hand-in with the right answers of a set; the number makes it unlike all others."""
    path = made.ROOT / "notebooks" / "solutions" / f"{INDEX[word][0]}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells = [cell | {"source": made.MARKER.sub("", "".join(cell["source"]))} for cell in cells]
    return json.dumps(made.notebook([*cells, made.code(f"# {number}")])).encode()


def throughput(word: str = "game", number: int = 10) -> str:
    """Grade right answers of function exercises in this process, and say what that takes. Reading them counts too."""
    uid = isolation.free_users(1)[0] if os.geteuid() == 0 else None
    others = processes()
    with Sandbox(uid) as sandbox:
        grader = worker.Grader([word], 1, sandbox)
        exercises = [exercise for exercise in grader.exercises if exercise.kind == "function"]
        data = [solved(word, each) for each in range(number)]
        grader.grade(exercises[0], notebooks.find(notebooks.read(data[0]), exercises[0].answer))
        start, cpu = time.monotonic(), _cpu(others)
        for each in data:
            read = notebooks.read(each)
            for exercise in exercises:
                record = grader.grade(exercise, notebooks.find(read, exercise.answer))
                assert record["ok"], record
        seconds, cpu = time.monotonic() - start, _cpu(others) - cpu
    answers = number * len(exercises)
    return (
        f"{word}: {answers} answers of function exercises in {number} notebooks, {answers / cpu:.0f} a second of one "
        f"core's time ({1000 * cpu / answers:.0f} ms each); {answers / seconds:.0f} a second by the clock, "
        f"at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def _cpu(others: set[int]) -> float:
    """Return the processor time of this process and of its clean parents with all their children, in seconds."""
    ticks = 0
    for process in processes() - others:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", default="game", metavar="WORD", help="a set, such as game or 01; all for every one")
    parser.add_argument("--notebooks", type=int, default=10, metavar="N")
    options = parser.parse_args()
    for word in list(INDEX) if options.set == "all" else [sets.word(options.set)]:
        assert checks.load_set(word)
        print(throughput(word, options.notebooks), flush=True)


if __name__ == "__main__":
    main()
