"""Grades 1,000 synthetic submissions, kills the grader in between, and compares every point. Run by hand.

    python tests/grade_many.py [--count 1000] [--wall 2] [--jobs 2] [--kills 3] [--folder DIR]

It fails if a row is lost, a submission is graded twice, or one point differs from what the submission deserves. The
last lines have the totals, and what one core grades in a second.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import submissions as made

from gancourse import checks
from gancourse.grading import isolation, notebooks, worker
from gancourse.grading.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]

#: Kinds that run until a limit stops them, or that take much space: this many of each.
COSTLY = {"endless": 12, "memory": 8, "forks": 6, "prints": 8, "colliding": 1, "huge outputs": 3, "outputs": 10}
COSTLY |= {"forged time": 2, "long to read": 1, "styles": len(made.STYLES), "stalls": len(made.STALLS)}
CHEAP_EACH = 16
RIGHT_SHARE = 0.6


def plan(count: int) -> list[str]:
    """Return the kind of each submission: the costly ones, some of each other kind, the rest right or wrong."""
    kinds = [kind for kind, number in COSTLY.items() for _ in range(number)]
    kinds += [kind for kind in made.KINDS if kind not in COSTLY for _ in range(CHEAP_EACH)]
    left = max(0, count - len(kinds))
    kinds += ["right"] * round(RIGHT_SHARE * left) + ["wrong"] * (left - round(RIGHT_SHARE * left))
    random.Random(0).shuffle(kinds)
    return kinds[:count]


def write(folder: Path, kinds: list[str]) -> dict[str, made.Made]:
    """Write the submissions, and return student → what was made (without its bytes)."""
    folder.mkdir()
    everything, turns = {}, Counter[str]()
    for number, kind in enumerate(kinds):
        submission = made.make(kind, turns[kind])
        makers = len(made.KINDS[kind][0])
        if turns[kind] >= makers or kind in ("right", "wrong"):  # other bytes, the same maker
            submission = made.make(kind, turns[kind] + makers * number)
        turns[kind] += 1
        (folder / f"s{number}_{1000 + number}_{5000 + number}_hw.ipynb").write_bytes(submission.data)
        everything[f"s{number}"] = made.Made(kind, b"", submission.d_loss, submission.others)
    return everything


def grade(folder: Path, out: Path, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a grading."""
    words = ["-m", "gancourse", "exercises", "grade", str(folder), "--out", str(out), "--set", "game"]
    words += ["--wall", str(options.wall), "--memory", "512", "--jobs", str(options.jobs)]
    words += ["--feedback", str(out.parent / "feedback")]
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def lines(path: Path) -> int:
    """Return how many lines a file has; 0 if there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


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


def compare(out: Path, expected: dict[str, made.Made]) -> list[str]:
    """Return what is wrong with a CSV."""
    rows = {row["Student"]: row for row in csv.DictReader(out.open(encoding="utf-8"))}
    faults = [f"{student}: no row" for student in sorted(set(expected) - set(rows))]
    faults += [f"{student}: a row too many" for student in sorted(set(rows) - set(expected))]
    solved = notebooks.read(made.SOLUTIONS.read_bytes())
    answers = {each.name: each.answer for each in checks.load_set("game").exercises if each.kind != "text"}
    for student, row in rows.items():
        for name, answer in answers.items():
            others = expected[student].others and isinstance(notebooks.find(solved, answer), notebooks.Answer)
            deserved = expected[student].d_loss if name == "game.d_loss" else others
            if (row[name] != "0") != deserved:
                faults.append(f"{student} ({expected[student].kind}): {name} has {row[name]}, deserved: {deserved}")
    return faults


def throughput(number: int = 60) -> str:
    """Grade right answers of one function exercise in this process, and say what that takes."""
    uid = isolation.free_users(1)[0] if os.geteuid() == 0 else None
    with Sandbox(uid) as sandbox:
        grader = worker.Grader(["game"], 1, sandbox)
        exercise = next(e for e in grader.exercises if e.name == "game.d_loss")
        books = [notebooks.read(made.make("right", each).data) for each in range(number)]
        read = [notebooks.find(book, exercise.answer) for book in books]
        grader.grade(exercise, read[0])
        start, cpu = time.monotonic(), _cpu()
        assert all(grader.grade(exercise, each)["ok"] for each in read)
        seconds, cpu = time.monotonic() - start, _cpu() - cpu
    return (
        f"{number} function exercises: {number / cpu:.0f} a second of one core's time "
        f"({1000 * cpu / number:.0f} ms each); "
        f"{number / seconds:.0f} a second by the clock, at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def _cpu() -> float:
    """Return the processor time of this process and of the clean parents with all their children, in seconds."""
    ticks = 0
    for process in processes():
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def main() -> int:
    """Run, print, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--wall", type=float, default=2.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="work here and keep everything")
    options = parser.parse_args()
    if others := processes():
        print(f"note: other gradings run: {sorted(others)}")
    top = options.folder or Path(tempfile.mkdtemp(prefix="grade-many-"))
    top.mkdir(exist_ok=True)
    top.chmod(0o700)
    kinds = plan(options.count)
    expected = write(top / "in", kinds)
    print(f"{len(expected)} submissions: " + ", ".join(f"{n} {kind}" for kind, n in Counter(kinds).most_common()))
    out, chance, faults = top / "out" / "grades.csv", random.Random(1), []
    journal = out.with_name("grades.csv.journal")
    start = time.monotonic()
    before = processes()
    for kill in range(options.kills):
        running = grade(top / "in", out, options)
        target = lines(journal) + chance.randint(10, max(11, options.count // (options.kills + 1)))
        while running.poll() is None and lines(journal) < target:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        patience = time.monotonic() + 15  # a worker that was just starting notices when it is ready
        while processes() - before and time.monotonic() < patience:
            time.sleep(0.2)
        print(f"SIGKILL {kill + 1} after {lines(journal) - 1} submissions; left running: {len(processes() - before)}")
        if processes() - before:
            faults.append("processes live on after the grader's end")
    running = grade(top / "in", out, options)
    said, _ = running.communicate()
    print("\n".join(line for line in said.splitlines() if "graded" not in line or "already" in line))
    if running.returncode != 0:
        faults.append(f"exit status {running.returncode}")
    faults += compare(out, expected)
    digests = [json.loads(line)["digest"] for line in journal.read_text().splitlines()[1:]]
    if len(digests) != len(set(digests)):
        faults.append("a submission was graded twice")
    for fault in faults:
        print(fault)
    print(
        f"{len(expected)} submissions of {len(set(kinds))} kinds, {options.kills} SIGKILLs, "
        f"{time.monotonic() - start:.0f} s: {len(faults)} faults"
    )
    print(throughput())
    if options.folder is None:
        shutil.rmtree(top)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
