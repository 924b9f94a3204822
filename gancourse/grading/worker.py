"""The comparing process: it holds the references, reads one notebook after the other, and judges plain numbers.

It runs no answer itself; a `Sandbox` does. It reads files that may be made to harm, so it is a process of its own too,
which the grader stops and starts again when it does not come back. Started as ``python -m gancourse.grading.worker``;
requests and replies are lines of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from gancourse import checks
from gancourse.checks import core
from gancourse.checks.core import Exercise, Result, Verdict, from_json, to_json, wrong
from gancourse.grading import isolation, notebooks
from gancourse.grading.isolation import Limits
from gancourse.grading.notebooks import Answer, Notebook, Unreadable
from gancourse.grading.sandbox import Broken, Outcome, Sandbox

MEMORY = 4 * 2**30
"""Bytes that this process may use to read a notebook."""

MAX_HINT = 600
CHANGED = "the file was changed or taken away while it was graded; grade it again"

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

    def grade(self, exercise: Exercise, notebook: Notebook) -> dict[str, Any]:
        """Grade one exercise, and return a plain record.

        Raises:
            Broken: the sandbox failed twice.
        """
        start = time.monotonic()
        answer = notebooks.find(notebook, exercise.answer)
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
            results = from_json(Result, outcome.text)
            judged = core.verdict(exercise, self.cases[exercise.name], results)
        except Exception as error:  # plain data of any shape must not stop a class from being graded
            if outcome.code == 0 and outcome.text:
                return wrong("unreadable", f"what it sent back cannot be read ({type(error).__name__})"), ""
            how = f"signal {-outcome.code}" if outcome.code < 0 else f"exit code {outcome.code}"
            return wrong("ended", f"it ended the whole process ({how})"), ""
        if judged.hint_id == "undefined":
            reasons = [text for name, text in answer.missing.items() if f"{name!r}" in (judged.hint or "")]
            judged = wrong("undefined", "; ".join([judged.hint or "", *reasons]))
        text = results[0].value if exercise.kind == "text" and results and results[0].ok else ""
        return judged, text if isinstance(text, str) else ""


def plain(text: Any, length: int) -> str:
    """Return text on one line, without control characters, of at most this length."""
    line = " ".join(str(text)[: 4 * length].split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= length else line[: length - 1] + "…"


def serve(grader: Grader) -> None:
    """Answer requests: a file, the sets to grade it on, and the exercises that are done."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            data = Path(request["file"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != request["digest"]:
                raise FileNotFoundError
            notebook = notebooks.read(data)
        except Unreadable as error:
            say({"faults": [plain(error, 300)], "unreadable": True, "done": True})
            continue
        except MemoryError as error:
            say({"faults": [f"it cannot be read ({type(error).__name__})"], "unreadable": True, "done": True})
            continue
        except OSError:
            say({"faults": [CHANGED], "unreadable": True, "changed": True, "done": True})
            continue
        say({"faults": [plain(fault, 300) for fault in notebook.faults[:20]]})
        for exercise in grader.exercises:
            word = exercise.name.split(".")[0]
            if exercise.name in request["skip"] or (request["words"] and word not in request["words"]):
                continue
            say({"starts": exercise.name})
            say(grader.grade(exercise, notebook))
        say({"done": True})


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
