"""The comparing process: it holds the references, and judges plain numbers, one notebook after the other.

It reads no notebook and runs no answer itself; a `Sandbox` does. What comes back may be made to harm, so it is a
process of its own too: the kernel ends it when judging takes too long, and the grader starts another one. Started as
``python -m gancourse.grading.worker``; requests and replies are lines of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gancourse import checks
from gancourse.checks import core
from gancourse.checks.core import Exercise, Result, Verdict, from_json, to_json, wrong
from gancourse.checks.probes import MAX_NUMBERS
from gancourse.grading import isolation, reading
from gancourse.grading.isolation import Limits
from gancourse.grading.notebooks import Answer
from gancourse.grading.reading import Reading
from gancourse.grading.sandbox import Broken, Outcome, Sandbox

MEMORY = 4 * 2**30
"""Bytes that this process may use to judge what came back."""

SECONDS = 15
"""Processor time that it may use to judge the answers of one file, without exercises that train."""

LOADING = 5.0
"""Processor time that is left to an answer for its imports, before its own counts against what the exercise allows."""

MAX_HINT = 600
CHANGED = "the file was changed or taken away while it was graded; grade it again"

LIST, TENSOR = 5, 20
"""So many numbers cost what one list, or one tensor, costs when they are made from JSON."""

MAX_KEYS = 200
MAX_DEPTH = 64

_replies = sys.stdout  # what a judge prints goes elsewhere, see `main`


class Grader:
    """Grades notebooks on the exercises of some sets, with inputs from one seed.

    Args:
        words: the sets.
        seed: the same inputs for everybody.
    """

    def __init__(self, words: list[str], seed: int, sandbox: Sandbox) -> None:
        self.exercises = [exercise for word in words for exercise in checks.load_set(word).exercises]
        self.cases = {exercise.name: exercise.cases(seed) for exercise in self.exercises}
        self.as_json = {name: to_json(cases) for name, cases in self.cases.items()}
        self.sandbox = sandbox

    def describe(self) -> list[dict[str, Any]]:
        """Return what the table needs to know of each exercise."""
        names = ("name", "title", "points", "kind", "answer", "rubric")
        return [{name: getattr(exercise, name) for name in names} for exercise in self.exercises]

    def read(self, path: str, exercises: Sequence[Exercise]) -> Reading:
        """Read a notebook, and find the answers to these exercises.

        Raises:
            Broken: the sandbox failed twice.
        """
        names = list(dict.fromkeys(exercise.answer for exercise in exercises))
        try:
            try:
                outcome = self.sandbox.read(path, names)
            except Broken:
                outcome = self.sandbox.read(path, names)
        except OSError as error:
            return reading.unreadable(f"it cannot be read ({error.strerror})")
        limits = reading.LIMITS
        stopped = {
            "wall": f"reading it took more than {limits.wall:g} s",
            "cpu": f"reading it took more than {limits.cpu} s of processor time",
            "memory": f"reading it took more than {limits.memory / 2**30:g} GB of memory",
            "output": "it holds more code than the grader takes",
        }
        if outcome.why in stopped:
            return reading.unreadable(f"{stopped[outcome.why]}, and was given up")
        try:
            return reading.received(outcome.text)
        except ValueError:
            return reading.unreadable(f"reading it ended the reader ({how_it_ended(outcome)})")

    def grade(self, exercise: Exercise, answer: Answer | str) -> dict[str, Any]:
        """Grade one exercise, and return a plain record.

        Args:
            answer: the code, or why there is none.

        Raises:
            Broken: the sandbox failed twice.
        """
        start = time.monotonic()
        text, notes = "", ()  # type: str, tuple[str, ...]
        if isinstance(answer, str):
            judged = wrong("missing", answer)
        else:
            outcome = self._run(exercise, answer)
            judged, text = self._judge(exercise, answer, outcome)
            notes = answer.notes
        return {
            "exercise": exercise.name,
            "ok": judged.ok,
            "hint_id": judged.hint_id,
            "hint": plain(judged.hint or "", MAX_HINT),
            "notes": [plain(note, 200) for note in notes[:10]],
            "text": text,
            "seconds": round(time.monotonic() - start, 3),
        }

    def _run(self, exercise: Exercise, answer: Answer) -> Outcome:
        arguments = answer.code, exercise.answer, self.as_json[exercise.name], exercise.probe
        try:
            return self.sandbox.run(*arguments)
        except Broken:
            return self.sandbox.run(*arguments)

    def _judge(self, exercise: Exercise, answer: Answer, outcome: Outcome) -> tuple[Verdict, str]:
        """Return the verdict, and the text of an exercise that a person grades."""
        limits = self.sandbox.limits
        stopped = {
            "wall": ("slow", f"it did not come back within {limits.wall:g} s and was stopped"),
            "cpu": ("slow", f"it used {limits.cpu} s of processor time and was stopped"),
            "memory": ("memory", f"it used more than {limits.memory / 2**20:.0f} MB of memory and was stopped"),
            "output": ("output", "it wrote too much to the grader and was stopped"),
        }
        if outcome.why in stopped:
            return wrong(*stopped[outcome.why]), ""
        try:
            weigh(outcome.text)
            results = from_json(Result, outcome.text)
            judged = core.verdict(exercise, self.cases[exercise.name], results, outcome.cpu - LOADING)
        except Exception as error:  # plain data of any shape must not stop a class from being graded
            if outcome.code == 0 and outcome.text:
                return wrong("unreadable", f"what it sent back cannot be read ({type(error).__name__})"), ""
            return wrong("ended", f"it ended the whole process ({how_it_ended(outcome)})"), ""
        if judged.hint_id == "undefined":
            reasons = [text for name, text in answer.missing.items() if f"{name!r}" in (judged.hint or "")]
            judged = wrong("undefined", "; ".join([judged.hint or "", *reasons]))
        text = results[0].value if exercise.kind == "text" and results and results[0].ok else ""
        return judged, text if isinstance(text, str) else ""


def how_it_ended(outcome: Outcome) -> str:
    """Return how a process ended, in words."""
    return f"signal {-outcome.code}" if outcome.code < 0 else f"exit code {outcome.code}"


def weigh(text: str) -> None:
    """Refuse results that no probe writes because they are too much, before anything is made of them.

    Equal hash values make a large dict slow to build, and a judge looks at the same numbers several times.

    Raises:
        ValueError: they are.
    """
    try:
        results = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(results, list):
        raise ValueError("no list")
    left = 3 * MAX_NUMBERS
    work: list[tuple[Any, int]] = [(results, 0)]
    while work:
        item, depth = work.pop()
        if isinstance(item, dict):
            pairs, shape = item.get("dict"), item.get("tensor")
            if len(item) > MAX_KEYS or (isinstance(pairs, list) and len(pairs) > MAX_KEYS):
                raise ValueError("too many keys")
            if isinstance(shape, list) and len(shape) > MAX_DEPTH:
                raise ValueError("too many dimensions")
            item = list(item.values())
            left -= TENSOR
        left -= LIST + len(item)
        if left < 0 or depth > MAX_DEPTH:
            raise ValueError("too many numbers")
        work += [(each, depth + 1) for each in item if isinstance(each, (list, dict))]


def plain(text: Any, length: int) -> str:
    """Return text on one line, without control characters, of at most this length."""
    line = " ".join(str(text)[: 4 * length].split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= length else line[: length - 1] + "…"


def _digest(path: str) -> str:
    """Return the hash of a file's bytes, or nothing if it is gone."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def serve(grader: Grader) -> None:
    """Answer requests: a file, the sets to grade it on, and the exercises that are done."""
    for line in sys.stdin:
        request = json.loads(line)
        words, skip = request["words"], request["skip"]
        if _digest(request["file"]) != request["digest"]:
            say({"faults": [CHANGED], "unreadable": True, "changed": True, "done": True})
            continue
        wanted = [e for e in grader.exercises if not words or e.name.split(".")[0] in words]
        allow(SECONDS + sum(int(e.seconds) for e in wanted if e.trains))
        found = grader.read(request["file"], wanted)
        faults = [plain(fault, 300) for fault in found.faults[: reading.MAX_FAULTS]]
        if found.unreadable:
            say({"faults": faults, "unreadable": True, "done": True})
            continue
        say({"faults": faults})
        for exercise in wanted:
            if exercise.name not in skip:
                say({"starts": exercise.name})
                say(grader.grade(exercise, found.answers.get(exercise.answer, "it was not looked for")))
        say({"done": True})


def allow(seconds: int) -> None:
    """Let the kernel end this process when it has used so much more processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def say(record: dict[str, Any]) -> None:
    """Write one line to the grader."""
    try:
        _replies.write(json.dumps(record) + "\n")
        _replies.flush()
    except BrokenPipeError:  # it was killed
        os._exit(1)


def main() -> None:
    """Serve on standard input and output; the settings come first."""
    isolation.die_with_parent()
    settings = json.loads(sys.stdin.readline())
    sys.stdout = sys.stderr
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    with Sandbox(settings["uid"], Limits(**settings["limits"])) as sandbox:
        grader = Grader(settings["words"], settings["seed"], sandbox)
        seen = sandbox.report(settings["paths"], settings["look"])
        say({"exercises": grader.describe(), "in_force": sandbox.in_force, "seen": seen})
        if sys.platform == "linux":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        serve(grader)


if __name__ == "__main__":
    main()
