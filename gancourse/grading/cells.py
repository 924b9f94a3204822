"""A submitted notebook, read without trusting it: its cells, and the statements at the top of each.

Nothing is run here, and whatever the file holds, the work grows with its length and no faster. The grader reads in a
process that ends with its limit all the same, since Python's own readers may do otherwise.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gancourse.grading import bindings
from gancourse.grading.bindings import Facts

MAX_CODE = 1_000_000
"""Characters of code that are read of one notebook; an ordinary one has fewer than a twentieth of this."""

MAX_STATEMENTS = 20_000
"""Statements at the top of cells that are read of one notebook."""

MAX_CELLS = 20_000
"""Cells of any kind that are looked at."""

KEPT_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
FUTURE = "from __future__ import annotations\n"
_HELP = re.compile(r"%{0,2}[\w*.]+(?:\[-?\d{1,9}\])?\?{1,2}")
_STARTS = re.compile(r"(?:(?:async +)?def|class) +([^\W\d]\w*)|([^\W\d]\w*) ?[:=]")


class Unreadable(Exception):
    """The file is no notebook; the text says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among all cells, counted from 1, its source, and whether it is tagged ``training``."""

    number: int
    source: str
    training: bool = False


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell.

    Args:
        source: its text, without the parts that are not run.
        facts: what it binds, changes and uses.
        runs: whether it may be run.
        imports: whether it is an import, and `course` which modules of this package it imports anywhere inside.
        defines: whether it is a ``def`` or a ``class``.
    """

    source: str
    cell: int
    position: int
    facts: Facts
    runs: bool
    imports: bool
    defines: bool
    course: tuple[str, ...] = ()


@dataclass
class Notebook:
    """A notebook as the grader sees it.

    Args:
        statements: of all cells that can be parsed, in order.
        faults: what was wrong with it, in words.
        broken: name → the number of a cell that seems to define it, and cannot be parsed.
    """

    cells: list[Cell]
    statements: list[Statement] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    lazy: bool = False
    """Whether a cell said ``from __future__ import annotations``, which holds for those below too."""


def read(data: bytes) -> Notebook:
    """Return the notebook that these bytes hold.

    Raises:
        Unreadable: they hold none.
    """
    notebook = Notebook([])
    left = MAX_CODE
    cells = _cells(data, notebook.faults)
    if len(cells) > MAX_CELLS:
        notebook.faults.append(f"it has {len(cells):,} cells; the first {MAX_CELLS:,} are read")
    for number, cell in enumerate(cells[:MAX_CELLS], 1):
        if not isinstance(cell, dict):
            notebook.faults.append(f"cell {number} is no cell and is left out")
        elif cell.get("cell_type") == "code":
            source = _text(cell.get("source", cell.get("input", "")))
            if source is None:
                notebook.faults.append(f"cell {number} has no text and is left out")
            elif len(source) > left:
                notebook.faults.append(
                    f"cell {number} is left out: of one notebook {MAX_CODE:,} characters of code are read"
                )
            else:
                left -= len(source)
                notebook.cells.append(Cell(number, source, "training" in _tags(cell)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a "\d" in a text is nobody's business here
        for each in notebook.cells:
            _parse(each, notebook)
    return notebook


def _cells(data: bytes, faults: list[str]) -> list[Any]:
    try:
        content = json.loads(_decode(data, faults))
    except RecursionError:
        raise Unreadable("its JSON is nested too deep") from None
    except ValueError as error:
        raise Unreadable(f"it is not JSON ({error})"[:200]) from None
    if not isinstance(content, dict):
        raise Unreadable("it holds no notebook, but some other JSON")
    cells = content.get("cells")
    if cells is None:  # the format before 2015
        sheets = content.get("worksheets")
        cells = sheets[0].get("cells") if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict) else None
    if not isinstance(cells, list):
        raise Unreadable("it has no list of cells")
    return cells


def _decode(data: bytes, faults: list[str]) -> str:
    if not data.strip():
        raise Unreadable("it is empty")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif data[1:2] == b"\0":
        encodings = ["utf-16-le"]
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "utf-8-sig":
            faults.append(f"the file is not encoded in UTF-8; it was read as {encoding}")
        return text
    raise Unreadable("it is not text")


def _text(source: Any) -> str | None:
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None


def _tags(cell: dict[str, Any]) -> list[Any]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tags if isinstance(tags, list) else []


# One cell --------------------------------------------------------------------------------------------


def _parse(cell: Cell, notebook: Notebook) -> None:
    """Add the statements of a cell, or name it as broken."""
    source = cell.source.replace("\r\n", "\n").replace("\r", "\n")
    first = source[:200].split(None, 1)[0] if source[:200].strip() else ""
    if first.startswith("%%") and first not in KEPT_CELL_MAGICS:
        return
    try:
        tree = _tree(source)
    except (SyntaxError, ValueError):
        source = without_magics(source)
        try:
            tree = _tree(source)
        except (SyntaxError, ValueError) as error:
            place = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            _leave_out(cell, notebook, f"cell {cell.number}{place}: {reason[:200]}")
            return
    try:
        _add(tree, source, cell, notebook)
    except (RecursionError, MemoryError):
        _leave_out(cell, notebook, f"cell {cell.number}: it is nested too deep")


def _leave_out(cell: Cell, notebook: Notebook, why: str) -> None:
    notebook.faults.append(f"{why}; the cell is left out")
    for line in cell.source.splitlines():
        if match := _STARTS.match(line.lstrip()):
            notebook.broken.setdefault(match[1] or match[2], cell.number)


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deep") from None


def _add(tree: ast.Module, source: str, cell: Cell, notebook: Notebook) -> None:
    """Add the statements of a cell that was parsed."""
    if len(notebook.statements) + len(tree.body) > MAX_STATEMENTS:
        _leave_out(cell, notebook, f"cell {cell.number}: of one notebook {MAX_STATEMENTS:,} statements are read")
        return
    text = _Text(source)
    found: list[Statement] = []
    lazy = notebook.lazy or any(_is_lazy(node) for node in tree.body)
    for index, node in enumerate(tree.body):
        facts = bindings.facts(node, lazy=lazy)
        written = text.of(node, tree.body[max(0, index - 1) : index + 2], facts.cuts)
        if lazy and not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)):
            written = FUTURE + written
        found.append(
            Statement(
                written,
                cell.number,
                len(notebook.statements) + index,
                facts,
                facts.runs and not cell.training,
                isinstance(node, (ast.Import, ast.ImportFrom)),
                isinstance(node, bindings.DEFINITIONS),
                tuple(bindings.imports(node, "gancourse")) if "gancourse" in written else (),
            )
        )
    notebook.statements += found
    notebook.lazy = lazy


def _is_lazy(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
    )


def without_magics(source: str) -> str:
    """Return a cell without IPython's own lines: ``%magic``, ``!command``, ``name?``. Line numbers stay.

    Blanks before the first line go from all lines, as in IPython.
    """
    lines = source.split("\n")
    start = next((line for line in lines if line.strip()), "")
    margin = start[: len(start) - len(start.lstrip())]
    kept: list[str] = []
    going_on = False
    for line in lines:
        line = line.removeprefix(margin)
        if going_on:
            going_on = line.rstrip().endswith("\\")
            kept.append("")
            continue
        plain = _without_magic(line)
        going_on = plain != line and line.rstrip().endswith("\\")
        kept.append(plain)
    return "\n".join(kept)


def _without_magic(line: str) -> str:
    words = line.strip()
    if words.startswith(("%", "!")) or (words[:1] == "?" and words[1:2].strip()) or _HELP.fullmatch(words):
        return line[: len(line) - len(line.lstrip())] + "pass"
    target, equals, value = line.partition("=")
    if equals and value.lstrip().startswith(("%", "!")) and target.strip():
        if all(character.isalnum() or character in "_, \t" for character in target):
            return f"{target}= None"
    return line


class _Text:
    """The text of a cell, of which statements are cut out by the places that the parser gives: lines and bytes."""

    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self._bytes: tuple[int, bytes] = -1, b""

    def of(self, node: ast.stmt, neighbours: Iterable[ast.stmt], cuts: list[ast.stmt]) -> str:
        """Return the text of a statement with ``pass`` in the place of the cuts."""
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        shared = any(
            other is not node and other.lineno <= last and (other.end_lineno or other.lineno) >= first
            for other in neighbours
        )
        if not shared and not cuts:
            return "\n".join(self.lines[first - 1 : last]) + "\n"
        parts, place = [], (node.lineno, node.col_offset) if shared else (first, 0)
        for cut in sorted(cuts, key=lambda cut: (cut.lineno, cut.col_offset)):
            start = min([(cut.lineno, cut.col_offset), *_decorators(cut)])
            parts += [self._between(place, start), "pass"]
            place = cut.end_lineno or cut.lineno, cut.end_col_offset or 0
        end = (last, node.end_col_offset or 0) if shared else (last, len(self._line(last)))
        return "".join([*parts, self._between(place, end)]) + "\n"

    def _line(self, number: int) -> bytes:
        """Return a line as bytes; the last one is kept, since many statements may stand on it."""
        if self._bytes[0] != number:
            self._bytes = number, self.lines[number - 1].encode()
        return self._bytes[1]

    def _between(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        if start[0] == end[0]:
            return self._line(start[0])[start[1] : end[1]].decode()
        first = self._line(start[0])[start[1] :].decode()
        middle = self.lines[start[0] : end[0] - 1]
        return "\n".join([first, *middle, self._line(end[0])[: end[1]].decode()])


def _decorators(node: ast.stmt) -> list[tuple[int, int]]:
    """Return the places of a statement's decorators, at their ``@``."""
    return [(each.lineno, node.col_offset) for each in getattr(node, "decorator_list", [])]
