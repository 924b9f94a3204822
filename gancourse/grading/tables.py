"""What comes out: the CSV for the LMS, and a page of feedback for each student."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FORMATS = ("plain", "canvas", "moodle")


@dataclass
class Row:
    """One student.

    Args:
        best: exercise → the record that counts: of several files the first with a right answer, else the last.
        faults: what was wrong with the files, in words.
        notes: for the instructor.
    """

    student: str
    number: str
    files: list[str]
    best: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """What the tables need to know of an exercise."""

    name: str
    title: str
    points: int
    kind: str

    @property
    def by_hand(self) -> bool:
        """Whether a person gives its points."""
        return self.kind == "text"


def points(row: Row, tasks: Sequence[Task]) -> int:
    """Return the points of a student, without those that a person gives."""
    return sum(task.points for task in tasks if not task.by_hand and row.best.get(task.name, {}).get("ok"))


def possible(tasks: Sequence[Task]) -> int:
    """Return the points that can be had without a person."""
    return sum(task.points for task in tasks if not task.by_hand)


def table(rows: Sequence[Row], tasks: Sequence[Task], form: str, assignment: str) -> str:
    """Return the CSV.

    ``plain`` has a column for each exercise. ``canvas`` is what the gradebook imports: it finds students by ID, and the
    assignment by the column's title. ``moodle`` is what an assignment imports as its grading worksheet: it finds
    students by Identifier.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    {"plain": _plain, "canvas": _canvas, "moodle": _moodle}[form](writer, rows, tasks, assignment)
    return text.getvalue()


def _plain(writer: Any, rows: Sequence[Row], tasks: Sequence[Task], assignment: str) -> None:
    names = [task.name for task in tasks if not task.by_hand]
    texts = [task.name for task in tasks if task.by_hand]
    by_hand = [f"{name} (by hand)" for name in texts]
    writer.writerow(["Student", "ID", *names, *by_hand, "Points", "Of", "Files", "Faults", "Notes"])
    for row in rows:
        given = [task.points if row.best.get(task.name, {}).get("ok") else 0 for task in tasks if not task.by_hand]
        texted = ["written" if row.best.get(name, {}).get("ok") else "missing" for name in texts]
        words = [_cell("; ".join(part)) for part in (row.files, row.faults, row.notes)]
        writer.writerow([_cell(row.student), row.number, *given, *texted, points(row, tasks), possible(tasks), *words])


def _canvas(writer: Any, rows: Sequence[Row], tasks: Sequence[Task], assignment: str) -> None:
    writer.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", _cell(assignment)])
    writer.writerow(["Points Possible", "", "", "", "", possible(tasks)])
    for row in rows:
        writer.writerow([_cell(row.student), row.number, "", "", "", points(row, tasks)])


def _moodle(writer: Any, rows: Sequence[Row], tasks: Sequence[Task], assignment: str) -> None:
    writer.writerow(["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"])
    for row in rows:
        identifier = f"Participant {row.number}" if row.number else ""
        comment = _cell(_summary(row, tasks))
        writer.writerow([identifier, _cell(row.student), points(row, tasks), possible(tasks), "-", comment])


def _summary(row: Row, tasks: Sequence[Task]) -> str:
    """Return the feedback of one student in a few sentences."""
    parts = []
    for task in tasks:
        record = row.best.get(task.name)
        if task.by_hand:
            parts.append(f"{task.name}: {'to be read' if record and record['ok'] else 'missing'}")
        elif record and record["ok"]:
            parts.append(f"{task.name}: {task.points} of {task.points}")
        else:
            hint = record["hint"] if record else "not found"
            parts.append(f"{task.name}: 0 of {task.points} ({hint})")
    return "; ".join(parts + row.faults)


def _cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, whatever a student calls a file."""
    text = text[:20_000]
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


# Feedback --------------------------------------------------------------------------------------------


def file_name(row: Row) -> str:
    """Return the name of a student's feedback file; equal names of different students get different files."""
    key = hashlib.sha256(f"{row.number}\n{row.student}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", row.student).strip("-")[:60] or "student"
    return f"{readable}-{row.number or key}.md" if row.number else f"{readable}-{key}.md"


def feedback(row: Row, tasks: Sequence[Task], assignment: str) -> str:
    """Return the feedback of one student, in Markdown."""
    lines = [f"# {_markdown(assignment)}: {_markdown(row.student)}", ""]
    lines += [f"**{points(row, tasks)} of {possible(tasks)} points** for what is checked automatically.", ""]
    lines += ["| exercise | points | |", "|---|---|---|"]
    texts: list[str] = []
    for task in tasks:
        record = row.best.get(task.name)
        ok = bool(record and record["ok"])
        if task.by_hand:
            lines.append(f"| {task.name} | – of {task.points} | {'✅ written' if ok else '❌ nothing is written'} |")
            if record and record.get("text"):
                quoted = "\n".join(f"> {_markdown(line)}" for line in str(record["text"]).splitlines())
                texts += [f"## {task.name}", "", quoted, ""]
            continue
        verdict = "✅" if ok else f"❌ {_markdown(record['hint'] if record else 'not found')}"
        lines.append(f"| {task.name} | {task.points if ok else 0} of {task.points} | {verdict} |")
    lines.append("")
    if row.faults:
        lines += ["The notebook itself:", "", *(f"- {_markdown(fault)}" for fault in row.faults), ""]
    lines += texts
    lines += [f"Files: {', '.join(_markdown(name) for name in row.files)}", ""]
    return "\n".join(lines)


def _markdown(text: str) -> str:
    """Return text without a meaning in Markdown or HTML."""
    line = "".join(character if character.isprintable() else " " for character in str(text))
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", lambda match: f"&#{ord(match[1])};", line)


def combine(row: Row, record: Mapping[str, Any], file: str) -> None:
    """Add the result of one file to a student's row: for each exercise a right answer counts, wherever it stands."""
    several = f"{file}: " if len(row.files) > 1 else ""
    row.faults += [f"{several}{fault}" for fault in record.get("faults", [])]
    for name, each in record.get("exercises", {}).items():
        row.notes += [f"{several}{name}: {note}" for note in each.get("notes", [])]
        old = row.best.get(name)
        if old is None or (each["ok"], each["hint_id"] != "missing") >= (old["ok"], old["hint_id"] != "missing"):
            row.best[name] = each
