"""Points that a person gives for texts: read back from the table before it is written anew, and kept beside it.

A person writes them into the columns ``… (by hand)`` of the plain table. They are kept in a file of their own, so that
neither a regrade nor a table in another form loses them. What somebody has changed in a table is never overwritten
without a copy.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gancourse.errors import UserError
from gancourse.files import flush_to_disk
from gancourse.grading.journal import write_whole
from gancourse.grading.tables import BY_HAND, MISSING, TOO_SHORT, WRITTEN, Row, Task, cell, number

VERSION = 1
NO_POINTS = ("", "-", "–", WRITTEN, TOO_SHORT, MISSING)


@dataclass
class Given:
    """What is known of one text of one student.

    Args:
        points: what a person has given, None if nothing.
        read: hash of the text that these points are for.
        shown: hash of the text when the table was last written.
    """

    student: str
    number: str
    exercise: str
    points: float | None = None
    read: str = ""
    shown: str = ""


class ByHand:
    """The points that were given by hand in one table. Reading them keeps them.

    Raises:
        UserError: the table is none of the grader's, or a cell in it is no number.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        self.path = table.with_name(table.name + ".byhand")
        self.given: list[Given] = []
        self.written = self.seen = ""  # hash of the table as it was written last, and as somebody has changed it
        self.taken = 0
        self.kept: Path | None = None
        self._load()
        self.look()

    def look(self) -> None:
        """Take over what has been changed in the table, and keep a copy of it. To be called before it is written."""
        data = self.table.read_bytes() if self.table.exists() else b""
        if data.strip() and _hash(data) not in (self.written, self.seen):
            self._take(data)
            self.kept = _keep(self.table, data)
            self.seen = _hash(data)
            self._save()

    def _load(self) -> None:
        if not self.path.exists():
            return
        try:
            record = json.loads(self.path.read_bytes())
            self.given = [Given(**each) for each in record["given"]]
            self.written = record["table"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{self.path} should hold the points that were given by hand, and cannot be read. Put back a copy, or "
                "move it away: the points in the table itself are read as well."
            ) from None

    def _save(self) -> None:
        record = {"byhand": VERSION, "table": self.written, "given": [asdict(each) for each in self.given]}
        write_whole(self.path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")

    def _take(self, data: bytes) -> None:
        """Take over what stands in the columns of a table."""
        known = {(each.number, each.student, each.exercise): each for each in self.given}
        cells = _cells(self.table, data)
        here = {cell[:3] for cell in cells}
        absent = {key: each for key, each in known.items() if key not in here}
        seen: dict[tuple[str, ...], float | None] = {}
        for *key, text in cells:
            whose, student, exercise = key
            points = _points(text, f"{self.table}: {exercise} of {student}")
            if seen.setdefault(tuple(key), points) != points:
                raise UserError(
                    f"{self.table} has two rows for {student} with different points for {exercise}. Leave one of them."
                )
            each = known.get((whose, student, exercise))
            if each is None:  # a number that a spreadsheet has spoilt, or a student who was not known
                alike = [each for other, each in absent.items() if other[1:] == (student, exercise)]
                each = alike[0] if len(alike) == 1 else Given(student, whose, exercise)
                if len(alike) != 1:
                    self.given.append(each)
            if each.points != points:
                each.points, each.read = points, each.shown
                self.taken += points is not None

    def fill(self, rows: Sequence[Row], tasks: Sequence[Task]) -> None:
        """Put the points into the rows, with a note where the text has changed since they were given."""
        texts = [task for task in tasks if task.by_hand]
        for row, found in zip(rows, self._matched(rows), strict=True):
            for task in texts:
                each = found.get(task.name)
                if each is None or each.points is None:
                    continue
                row.given[task.name] = each.points
                if each.read and each.read != _text_hash(row, task):
                    row.notes.append(f"{task.name}: the text has changed since its points were given")
                if each.points > task.points:
                    row.notes.append(f"{task.name}: {number(each.points)} points, of {task.points}")

    def _matched(self, rows: Sequence[Row]) -> list[dict[str, Given]]:
        """Return for each row what is known of its student: of this name and number, or of a number with another name.

        A name alone is enough only where a number is missing, or a spreadsheet has spoilt it.
        """
        exact: dict[tuple[str, str], dict[str, Given]] = {}
        for each in self.given:
            exact.setdefault((each.number, each.student), {})[each.exercise] = each
        keys = [(row.number, _name(row.student)) for row in rows]
        found = [exact.get(key, {}) for key in keys]
        here = set(keys)
        for part in (0, 1):
            left = [key for key in exact if key not in here and not (part and key[0].isdigit())]
            ours = Counter(key[part] for key in keys if key not in exact and key[part])
            theirs = Counter(key[part] for key in left)
            alone = {key[part]: exact[key] for key in left if theirs[key[part]] == ours[key[part]] == 1}
            found = [known or alone.get(key[part], {}) for key, known in zip(keys, found, strict=True)]
        return found

    def absent(self, rows: Sequence[Row]) -> int:
        """Return how many students have points and no row, as in a download of one group."""
        here = {id(each) for found in self._matched(rows) for each in found.values()}
        return len({(e.number, e.student) for e in self.given if e.points is not None and id(e) not in here})

    def remember(self, rows: Sequence[Row], tasks: Sequence[Task], table: str) -> None:
        """Keep the points, and what the table shows now: the text that the next points will be for."""
        for row, found in zip(rows, self._matched(rows), strict=True):
            for task in tasks:
                if task.by_hand:
                    each = found.get(task.name)
                    if each is None:
                        self.given.append(each := Given(_name(row.student), row.number, task.name))
                    each.student, each.number = _name(row.student), row.number
                    each.shown = _text_hash(row, task)
        self.written = _hash(table.encode("utf-8"))
        self._save()


def _keep(table: Path, data: bytes) -> Path:
    """Copy a table beside itself, under a name that nothing has."""
    count = 1
    while True:
        path = table.with_name(f"{table.name}.old-{count}")
        try:
            with open(path, "xb") as file:
                file.write(data)
                file.flush()
                flush_to_disk(file.fileno())
            return path
        except FileExistsError:
            count += 1


def _cells(table: Path, data: bytes) -> list[tuple[str, str, str, str]]:
    """Return number, student, exercise and cell of each text, from whatever a spreadsheet has made of the table.

    Raises:
        UserError: it is no table of the grader.
    """
    encodings = ["utf-16"] if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        text = ""
    if text[:4].lower() == "sep=":  # a line that some spreadsheets want
        text = text.partition("\n")[2]
    for delimiter in ",;\t":
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error:
            rows = []
        titles = [title.strip() for title in rows[0]] if rows else []
        if titles[:1] == ["Identifier"] or titles[:3] == ["Student", "ID", "SIS User ID"]:
            return []
        if "Student" in titles and "ID" in titles and "Points" in titles:
            break
    else:
        raise UserError(
            f"{table} is there and is no table that this command has written, so it is not overwritten. A table that "
            "you have edited should be saved as CSV, with its titles. Move it away, or give another --out."
        )
    student, number_ = titles.index("Student"), titles.index("ID")
    columns = {place: title.removesuffix(BY_HAND) for place, title in enumerate(titles) if title.endswith(BY_HAND)}
    found = []
    for row in rows[1:]:
        row += [""] * (len(titles) - len(row))
        if any(text.strip() for text in row):
            whose = row[number_].strip().removesuffix(".0"), row[student].removeprefix("'")
            found += [(*whose, exercise, row[place].strip()) for place, exercise in columns.items()]
    return found


def _points(text: str, place: str) -> float | None:
    """Return the points that a cell says, None if none.

    Raises:
        UserError: it says something else.
    """
    if text.lower() in NO_POINTS:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(
            f"{place} has {text!r} where points are expected: a number such as 3 or 2.5, or nothing. "
            "Nothing is overwritten; put it right and call the command again."
        )
    return value


def _name(student: str) -> str:
    """Return a student's name as the table shows it."""
    return cell(student).removeprefix("'")


def _text_hash(row: Row, task: Task) -> str:
    text = str(row.best.get(task.name, {}).get("text", ""))
    return _hash(text.encode("utf-8", "surrogatepass"))[:16] if text else ""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
