"""One notebook read in a process of its own: what crosses, and what is believed of it.

A child of the clean parent reads (`as_json`), within limits, and the comparing process takes what it writes for text by
a stranger (`received`). So the process that holds the references never parses a student's file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gancourse.grading import notebooks
from gancourse.grading.isolation import Limits
from gancourse.grading.notebooks import Answer, Index, Unreadable

LIMITS = Limits(wall=300.0, cpu=10, memory=4 * 2**30)
"""Of the process that reads one file. A usual file takes a few hundredths of a second; the clock is for a stuck one."""

MAX_FAULTS = 20
MAX_MISSING = 1_000


@dataclass
class Reading:
    """What was found in a notebook.

    Args:
        answers: name → the code that it needs, or a sentence that says why there is none.
        faults: what was wrong with the file.
        unreadable: it is no notebook, and nothing of it can be graded.
    """

    answers: dict[str, Answer | str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    unreadable: bool = False


def unreadable(why: str) -> Reading:
    """Return the reading of a file of which nothing can be graded."""
    return Reading(faults=[why], unreadable=True)


def as_json(data: bytes, names: Sequence[str]) -> str:
    """Read a notebook, find these answers, and return all of it as JSON; code that several need is in it once."""
    try:
        notebook = notebooks.read(data)
    except Unreadable as error:
        return json.dumps({"unreadable": str(error)})
    index = Index(notebook)
    pieces: dict[tuple[str, str], int] = {}
    answers: dict[str, Any] = {}
    for name in names:
        found = notebooks.find(notebook, name, index)
        if isinstance(found, Answer):
            numbers = [pieces.setdefault(piece, len(pieces)) for piece in found.code]
            missing = dict(list(found.missing.items())[:MAX_MISSING])
            answers[name] = {"code": numbers, "missing": missing, "notes": list(found.notes)}
        else:
            answers[name] = found
    content = {"faults": notebook.faults[:MAX_FAULTS], "pieces": list(pieces), "answers": answers}
    return json.dumps(content, ensure_ascii=False)


def received(text: str) -> Reading:
    """Return the reading that `as_json` wrote, and was sent by a process that is not trusted.

    Raises:
        ValueError: it is not of that form.
    """
    try:
        content = json.loads(text)
        if "unreadable" in content:
            return unreadable(_text(content["unreadable"]))
        pieces = [(_text(source), _text(label)) for source, label in content["pieces"]]
        reading = Reading(faults=[_text(fault) for fault in content["faults"]])
        for name, found in content["answers"].items():
            if isinstance(found, str):
                reading.answers[name] = found
                continue
            code = tuple(pieces[number] for number in found["code"])
            missing = {name: _text(reason) for name, reason in found["missing"].items()}
            reading.answers[name] = Answer(code, missing, tuple(_text(note) for note in found["notes"]))
    except (RecursionError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError("not what a reader writes") from error
    return reading


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is expected, not {value!r:.40}")
    return value
