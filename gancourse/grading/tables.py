"""What comes out: the CSV for the LMS, and a page of feedback for each student."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FORMATS = ("plain", "canvas", "moodle")
BY_HAND = " (by hand)"
"""The end of the title of a column into which a person writes points."""

WRITTEN, TOO_SHORT, MISSING = "written", "too short", "missing"
"""What stands there before; a text that is too short is shown too, and may earn points all the same."""


@dataclass
class Row:
    """One student.

    Args:
        best: exercise → the record that counts: of several files the first with a right answer, else the last.
        faults: what was wrong with the files, in words.
        notes: for the instructor.
        given: exercise → the points that a person has given for its text.
    """

    student: str
    number: str
    files: list[str]
    best: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    given: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What the tables need to know of an exercise."""

    name: str
    title: str
    points: int
    kind: str
    answer: str = ""
    rubric: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person gives its points."""
        return self.kind == "text"


def points(row: Row, tasks: Sequence[Task]) -> float:
    """Return the points of a student: those of right answers, and those that a person has given."""
    return sum(row.given.get(task.name, 0) if task.by_hand else task.points * _right(row, task) for task in tasks)


def read(rows: Sequence[Row], tasks: Sequence[Task]) -> list[Task]:
    """Return the texts for which a person has given points to anybody. They count for all."""
    return [task for task in tasks if task.by_hand and any(task.name in row.given for row in rows)]


def possible(rows: Sequence[Row], tasks: Sequence[Task]) -> int:
    """Return the points that can be had, without those of texts that nobody has read yet."""
    return sum(task.points for task in tasks if not task.by_hand or task in read(rows, tasks))


def state(row: Row, task: Task) -> str:
    """Return what there is of a text: ``written``, ``too short`` or ``missing``."""
    record = row.best.get(task.name, {})
    if record.get("ok"):
        return WRITTEN
    return TOO_SHORT if record.get("hint_id") == "too-short" else MISSING


def number(value: float) -> str:
    """Return points as they are written: 3, or 2.5."""
    return f"{value:.10g}"


def _right(row: Row, task: Task) -> bool:
    return bool(row.best.get(task.name, {}).get("ok"))


def _hint(record: Mapping[str, Any] | None) -> str:
    """Return what is wrong in words. The words of a stub that was left as it is are the course's, not a hint."""
    if record is None:
        return "not found"
    return "nothing is written yet" if record["hint_id"] == "not-done" else str(record["hint"])


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
    checked, texts = [task for task in tasks if not task.by_hand], [task for task in tasks if task.by_hand]
    names = [task.name for task in checked] + [task.name + BY_HAND for task in texts]
    writer.writerow(["Student", "ID", *names, "Points", "Of", "Files", "Faults", "Notes"])
    most = possible(rows, tasks)
    for row in rows:
        cells = [str(task.points * _right(row, task)) for task in checked]
        cells += [number(row.given[task.name]) if task.name in row.given else state(row, task) for task in texts]
        words = [cell("; ".join(part)) for part in (row.files, row.faults, row.notes)]
        writer.writerow([cell(row.student), row.number, *cells, number(points(row, tasks)), most, *words])


def _canvas(writer: Any, rows: Sequence[Row], tasks: Sequence[Task], assignment: str) -> None:
    writer.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", cell(assignment)])
    writer.writerow(["Points Possible", "", "", "", "", possible(rows, tasks)])
    for row in rows:
        writer.writerow([cell(row.student), row.number, "", "", "", number(points(row, tasks))])


def _moodle(writer: Any, rows: Sequence[Row], tasks: Sequence[Task], assignment: str) -> None:
    writer.writerow(["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"])
    most = possible(rows, tasks)
    for row in rows:
        identifier = f"Participant {row.number}" if row.number else ""
        comment = cell(_summary(row, tasks))
        writer.writerow([identifier, cell(row.student), number(points(row, tasks)), most, "-", comment])


def _summary(row: Row, tasks: Sequence[Task]) -> str:
    """Return the feedback of one student in a few sentences."""
    parts = []
    for task in tasks:
        record = row.best.get(task.name)
        if task.name in row.given:
            parts.append(f"{task.name}: {number(row.given[task.name])} of {task.points}")
        elif task.by_hand:
            told = {WRITTEN: "to be read", TOO_SHORT: _hint(record), MISSING: MISSING}
            parts.append(f"{task.name}: {told[state(row, task)]}")
        elif _right(row, task):
            parts.append(f"{task.name}: {task.points} of {task.points}")
        else:
            parts.append(f"{task.name}: 0 of {task.points} ({_hint(record)})")
    return "; ".join(parts + row.faults)


#: What makes a spreadsheet take a cell for a formula; the wide and small forms do in some of them.
_FORMULA = "=+@\u2212\uff1d\uff0b\uff20\uff0d\ufe66\ufe62\ufe6b\ufe63-"
_STARTS = re.compile(rf"\s*[\"']*\s*[{_FORMULA}]")
#: The same behind what separates cells for a spreadsheet with other settings: there a comma separates nothing.
_WITHIN = re.compile(rf"([;|][\s\"']*)(?=[{_FORMULA}])")


def cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, whatever a student calls a file, and wherever it is cut."""
    text = "".join(each if each.isprintable() else " " for each in text[:20_000])
    text = _WITHIN.sub(r"\1'", text)
    return f"'{text}" if _STARTS.match(text) else text


# Feedback --------------------------------------------------------------------------------------------


def pages(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Yield the name of each student's feedback file; no two are the same, on disks that know no capitals either."""
    taken: set[str] = set()
    for row in rows:
        name = file_name(row)
        if name.lower() in taken:
            name = f"{name.removesuffix('.md')}-{_key(row)}.md"
        taken.add(name.lower())
        yield name, row


def file_name(row: Row) -> str:
    """Return a name for a student's feedback file that any disk can hold."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", row.student).strip("-")[:60] or "student"
    return f"{readable}-{row.number if re.fullmatch('[0-9]{1,20}', row.number) else _key(row)}.md"


def _key(row: Row) -> str:
    return hashlib.sha256(f"{row.number}\n{row.student}".encode()).hexdigest()[:8]


def feedback(row: Row, tasks: Sequence[Task], assignment: str) -> str:
    """Return the feedback of one student, in Markdown."""
    checked, texts = [task for task in tasks if not task.by_hand], [task for task in tasks if task.name in row.given]
    lines = [f"# {_markdown(assignment)}: {_markdown(row.student)}", ""]
    total = f"**{number(points(row, checked))} of {possible([row], checked)} points** for what is checked automatically"
    if texts:
        total += f", **{number(points(row, texts))} of {possible([row], texts)}** for what was read"
    lines += [f"{total}.", "", "| exercise | points | |", "|---|---|---|"]
    for task in tasks:
        earned = number(task.points * _right(row, task))
        if task.by_hand:
            earned = number(row.given[task.name]) if task.name in row.given else "–"
        lines.append(f"| {task.name} | {earned} of {task.points} | {_verdict(row, task)} |")
    lines.append("")
    if row.faults:
        lines += ["The notebook itself:", "", *(f"- {_markdown(fault)}" for fault in row.faults), ""]
    for task in tasks:
        lines += _text(row, task)
    lines += [f"Files: {', '.join(_markdown(name) for name in row.files)}", ""]
    return "\n".join(lines)


def _verdict(row: Row, task: Task) -> str:
    record = row.best.get(task.name)
    if task.name in row.given:
        return "read"
    if task.by_hand and (record is None or record["hint_id"] in ("missing", "not-done")):
        return "❌ nothing is written"
    if _right(row, task):
        return "✅ written" if task.by_hand else "✅"
    return f"❌ {_markdown(_hint(record))}"


def _text(row: Row, task: Task) -> list[str]:
    """Return a written text, and what a person looks for in it."""
    text = str(row.best.get(task.name, {}).get("text", "")) if task.by_hand else ""
    if not text.strip():
        return []
    quoted = "\n".join(f"> {_markdown(line)}" for line in text.splitlines())
    rubric = [f"**Rubric, {task.points} points:** {task.rubric}", ""] if task.rubric else []
    return [f"## {task.name}", "", quoted, "", *rubric]


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
        if old is None or _rank(each) >= _rank(old):
            row.best[name] = each


def _rank(record: Mapping[str, Any]) -> int:
    """Return 3 for a right answer, 2 for a wrong one, 1 for a stub, 0 for none."""
    return 3 if record["ok"] else {"missing": 0, "not-done": 1}.get(record["hint_id"], 2)
