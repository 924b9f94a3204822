"""Grades 1,000 synthetic submissions, kills the grader in between, and compares every point. Run by hand.

    python tests/grade_many.py [--count 1000] [--wall 2] [--jobs 2] [--kills 3] [--folder DIR]

It fails if a row is lost or belongs to somebody else, a submission is graded twice, one point differs from what the
submission deserves, a cell could be taken for a formula, somebody has no page, or points by hand do not reach the
gradebook. The last lines have the totals, and what one core grades in a second.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import submissions as made
from bench_grading import processes, throughput

from gancourse import checks
from gancourse.grading import notebooks

ROOT = Path(__file__).resolve().parents[1]

#: Kinds that run until a limit stops them, or that take much space: this many of each.
COSTLY = {"endless": 12, "memory": 8, "forks": 6, "prints": 8, "colliding": 1, "huge outputs": 3, "outputs": 10}
COSTLY |= {"forged time": 2, "long to read": 1, "styles": len(made.STYLES), "stalls": len(made.STALLS)}
CHEAP_EACH = 16
FORMULA = re.compile(r"(?:^|[;|\t])[\s\"]*[=+@\-＝＋－＠]")
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
        (folder / made.file_name(number, late=number % 7 == 0)).write_bytes(submission.data)
        everything[f"s{number}"] = made.Made(kind, b"", submission.d_loss, submission.others)
    return everything


def grade(folder: Path, out: Path, options: argparse.Namespace, *more: str) -> subprocess.Popen[str]:
    """Start a grading."""
    words = ["-m", "gancourse", "exercises", "grade", str(folder), "--out", str(out), "--set", "game"]
    words += ["--wall", str(options.wall), "--memory", "512", "--jobs", str(options.jobs)]
    words += ["--feedback", str(out.parent / "feedback"), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *words], **pipes, text=True, cwd=ROOT)


def lines(path: Path) -> int:
    """Return how many lines a file has; 0 if there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def compare(out: Path, expected: dict[str, made.Made]) -> list[str]:
    """Return what is wrong with a CSV."""
    rows = {row["Student"]: row for row in csv.DictReader(out.open(encoding="utf-8"))}
    faults = [f"{student}: no row" for student in sorted(set(expected) - set(rows))]
    faults += [f"{student}: a row too many" for student in sorted(set(rows) - set(expected))]
    solved = notebooks.read(made.SOLUTIONS.read_bytes())
    answers = {each.name: each.answer for each in checks.load_set("game").exercises if each.kind != "text"}
    pages = {path.name for path in (out.parent / "feedback").iterdir()}
    for student, row in rows.items():
        if row["ID"] != str(1000 + int(student[1:])):
            faults.append(f"{student}: has the number {row['ID']}")
        if f"{student}-{row['ID']}.md" not in pages:
            faults.append(f"{student}: no page")
        faults += [f"{student}: {title} is a formula" for title, text in row.items() if FORMULA.search(text or "")]
        for name, answer in answers.items():
            others = expected[student].others and isinstance(notebooks.find(solved, answer), notebooks.Answer)
            others = others and name not in made.EXCEPT.get(expected[student].kind, ())
            deserved = expected[student].d_loss if name == "game.d_loss" else others
            if (row[name] != "0") != deserved:
                faults.append(f"{student} ({expected[student].kind}): {name} has {row[name]}, deserved: {deserved}")
    return faults


def by_hand(out: Path, folder: Path, options: argparse.Namespace) -> list[str]:
    """Give points by hand as a person does, ask for Canvas's form, and return what is wrong with it."""
    lines = list(csv.reader(out.open(encoding="utf-8", newline="")))
    (place,) = (place for place, title in enumerate(lines[0]) if title.endswith(" (by hand)"))
    points = {line[1]: int(line[lines[0].index("Points")]) for line in lines[1:]}
    given = {}
    for line in lines[1:]:
        if line[place] in ("written", "too short"):
            given[line[1]] = len(given) % 4
            line[place] = str(given[line[1]])
    with out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(lines)  # as a spreadsheet of another country saves it
    running = grade(folder, out, options, "--format", "canvas")
    said, complaints = running.communicate()
    if running.returncode != 0:
        return [f"with points by hand: exit status {running.returncode}: {complaints}"]
    table = {line[1]: line[-1] for line in csv.reader(out.open(encoding="utf-8")) if line[1].isdigit()}
    print(f"{len(given)} texts got points by hand")
    return [
        f"{number}: {table.get(number)} points for Canvas, deserved: {earned + given.get(number, 0)}"
        for number, earned in points.items()
        if table.get(number) != str(earned + given.get(number, 0))
    ]


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
    said, complaints = running.communicate()
    if complaints:
        faults.append(f"the terminal got {complaints[:500]!r}")
    print("\n".join(line for line in said.splitlines() if "graded" not in line or "already" in line))
    if running.returncode != 0:
        faults.append(f"exit status {running.returncode}")
    faults += compare(out, expected)
    digests = [json.loads(line)["digest"] for line in journal.read_text().splitlines()[1:]]
    if len(digests) != len(set(digests)):
        faults.append("a submission was graded twice")
    faults += by_hand(out, top / "in", options)
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
