"""A submitted notebook, read without trusting it: its cells, and the code that one answer needs.

Nothing is run here. An answer is a name that a statement of some cell binds: a function, a class, an assignment. What
it uses is followed by name, through helpers, imports and constants of any cell, as a clean run from top to bottom would
find them. Loops, ``with`` blocks and bare calls are never part of it, so no training is run.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

END = 1 << 30
"""A position after every statement."""

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
KEPT_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
_MAGIC = re.compile(r"^(?P<indent>\s*)(?:[%!]|\?\S|\S.*\?\s*$)")
_ASSIGNED_MAGIC = re.compile(r"^(?P<target>\s*[\w, ]+=\s*)[%!]")


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
    """A statement at the top of a cell."""

    node: ast.stmt
    source: str
    cell: int
    position: int
    binds: frozenset[str]
    amends: frozenset[str]
    """Names of which it changes something: ``config["lr"] = 1``, ``x += 1``."""

    runs: bool
    """Whether it may be run: a definition, an import or an assignment, or a choice among such."""


@dataclass
class Notebook:
    """A notebook as the grader sees it.

    Args:
        statements: of all cells that can be parsed, in order.
        faults: what was wrong with it, in words.
        broken: cell number → source, of cells that cannot be parsed.
    """

    cells: list[Cell]
    statements: list[Statement] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The code that an answer needs: pieces of (source, label), in the order in which they are run.

    Args:
        missing: names that it uses and that no cell defines in a way that may be run, each with the reason.
        notes: what an instructor should know, such as a second definition.
    """

    code: tuple[tuple[str, str], ...]
    missing: dict[str, str]
    notes: tuple[str, ...]


# Reading ---------------------------------------------------------------------------------------------


def read(data: bytes) -> Notebook:
    """Return the notebook that these bytes hold.

    Raises:
        Unreadable: they hold none.
    """
    faults: list[str] = []
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
    notebook = Notebook([], faults=faults)
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            faults.append(f"cell {number} is no cell and is left out")
        elif cell.get("cell_type") == "code":
            source = _text(cell.get("source", cell.get("input", "")))
            if source is None:
                faults.append(f"cell {number} has no text and is left out")
            else:
                notebook.cells.append(Cell(number, source, "training" in _tags(cell)))
    for each in notebook.cells:
        _parse(each, notebook)
    return notebook


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


def _parse(cell: Cell, notebook: Notebook) -> None:
    """Add the statements of a cell, or name it as broken."""
    source = cell.source.replace("\r\n", "\n").replace("\r", "\n")
    first = source.lstrip().split(None, 1)[0] if source.strip() else ""
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
            notebook.faults.append(f"cell {cell.number}{place}: {reason}; the cell is left out")
            notebook.broken[cell.number] = cell.source
            return
    try:
        _add(tree, source, cell, notebook)
    except (RecursionError, MemoryError):
        notebook.faults.append(f"cell {cell.number}: it is nested too deep; the cell is left out")
        notebook.broken[cell.number] = cell.source


def _add(tree: ast.Module, source: str, cell: Cell, notebook: Notebook) -> None:
    """Add the statements of a cell that was parsed."""
    lines = source.split("\n")
    found: list[Statement] = []
    for index, node in enumerate(tree.body):
        text = _source(node, lines, tree.body[max(0, index - 1) : index + 2])
        binds, amends = frozenset(_bound(node)), frozenset(_amended(node))
        position = len(notebook.statements) + len(found)
        runs = _may_run(node) and not cell.training
        found.append(Statement(node, text, cell.number, position, binds, amends, runs))
    notebook.statements += found


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deep") from None


def without_magics(source: str) -> str:
    """Return a cell without IPython's own lines: ``%magic``, ``!command``, ``name?``. Line numbers stay."""
    lines: list[str] = []
    going_on = False
    for line in source.split("\n"):
        if going_on:
            going_on = line.rstrip().endswith("\\")
            lines.append("")
        elif match := _ASSIGNED_MAGIC.match(line):
            lines.append(f"{match['target']}None")
            going_on = line.rstrip().endswith("\\")
        elif match := _MAGIC.match(line):
            lines.append(f"{match['indent']}pass")
            going_on = line.rstrip().endswith("\\")
        else:
            lines.append(line)
    return "\n".join(lines)


def _source(node: ast.stmt, lines: list[str], neighbours: list[ast.stmt]) -> str:
    """Return the text of a statement; from the tree where it shares a line with a neighbour."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    last = node.end_lineno or node.lineno
    shared = any(
        other is not node and other.lineno <= last and (other.end_lineno or other.lineno) >= first
        for other in neighbours
    )
    return ast.unparse(node) if shared else "\n".join(lines[first - 1 : last]) + "\n"


# What a statement binds, and what it needs -----------------------------------------------------------


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds at the top."""
    if isinstance(node, DEFINITIONS):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _names(target)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield from _names(node.target)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        yield from _names(node.target)
        yield from _bound_in(node.body + node.orelse)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _names(item.optional_vars)
        yield from _bound_in(node.body)
    elif isinstance(node, (ast.If, ast.While)):
        yield from _bound_in(node.body + node.orelse)
    elif isinstance(node, ast.Try):
        handled = [statement for handler in node.handlers for statement in handler.body]
        yield from _bound_in(node.body + handled + node.orelse + node.finalbody)


def _bound_in(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        yield from _bound(statement)


def _names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _names(item)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)


def _amended(node: ast.stmt) -> Iterator[str]:
    """Yield the names of which a statement changes something without binding them anew."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = [target for target in node.targets if isinstance(target, (ast.Attribute, ast.Subscript))]
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    for target in targets:
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        if isinstance(target, ast.Name):
            yield target.id


def _may_run(node: ast.stmt) -> bool:
    if isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Pass)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return all(map(_may_run, node.body + node.orelse))
    if isinstance(node, ast.Try):
        handled = [statement for handler in node.handlers for statement in handler.body]
        return all(map(_may_run, node.body + handled + node.orelse + node.finalbody))
    return False


def needs(source: str) -> tuple[set[str], set[str]]:
    """Return the names of the notebook that a statement uses: at once, and when its functions are called."""
    at_once: set[str] = set()
    later: set[str] = set()

    def visit(table: symtable.SymbolTable, inside_function: bool) -> None:
        for symbol in table.get_symbols():
            top = table.get_type() == "module"
            if symbol.is_referenced() if top else (symbol.is_global() and symbol.is_referenced()):
                (later if inside_function else at_once).add(symbol.get_name())
            elif not top and symbol.is_declared_global():
                later.add(symbol.get_name())
        for child in table.get_children():
            function = child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS
            visit(child, inside_function or function)

    visit(symtable.symtable(source, "<cell>", "exec"), False)
    return at_once - BUILTINS, later - BUILTINS


_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")


# Following names -------------------------------------------------------------------------------------


class _Follower:
    """Collects the statements that a name needs, as of a position in the notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self.statements = notebook.statements
        self.binders: dict[str, list[Statement]] = {}
        self.amenders: dict[str, list[Statement]] = {}
        for statement in self.statements:
            for name in statement.binds:
                self.binders.setdefault(name, []).append(statement)
            for name in statement.amends:
                self.amenders.setdefault(name, []).append(statement)
        self.stars = [s for s in self.statements if "*" in s.binds and s.runs]
        self.order: dict[int, Statement] = {}  # what a statement needs stands before it
        self.seen: set[tuple[int, int]] = set()
        self.missing: dict[str, str] = {}
        self.needs: dict[int, tuple[set[str], set[str]]] = {}

    def follow(self, name: str, position: int) -> None:
        """Collect what binds `name` as of `position`."""
        work: list[tuple[str, Any, int]] = [("name", name, position)]
        while work:  # no recursion: a notebook may have any number of helpers that call each other
            kind, item, at = work.pop()
            if kind == "add":
                self.order.setdefault(item.position, item)
                continue
            for statement in self.definition(item, at):
                if (statement.position, at) in self.seen:
                    continue
                self.seen.add((statement.position, at))
                at_once, later = self.needed(statement)
                work.append(("add", statement, at))
                work += [("name", each, at) for each in sorted(later)]
                work += [("name", each, statement.position) for each in sorted(at_once)]

    def needed(self, statement: Statement) -> tuple[set[str], set[str]]:
        """Return what a statement uses, at once and later."""
        if statement.position not in self.needs:
            try:
                self.needs[statement.position] = needs(statement.source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self.needs[statement.position] = set(), set()
        return self.needs[statement.position]

    def definition(self, name: str, position: int) -> list[Statement]:
        """Return the statement that binds a name, the last before `position`, and those that amend it from there."""
        all_binders = self.binders.get(name, [])
        binders = [s for s in all_binders if s.runs]
        if not binders:
            if all_binders:
                cell = all_binders[-1].cell
                self.missing[name] = f"{name!r} is only made in cell {cell}, in a part that the grader does not run"
                return []
            if self.stars:
                return self.stars
            self.missing[name] = f"{name!r} is defined in no cell"
            return []
        before = [s for s in binders if s.position < position]
        chosen = before[-1] if before else binders[0]
        amenders = [s for s in self.amenders.get(name, []) if chosen.position < s.position < position and s.runs]
        return [chosen, *amenders]


def find(notebook: Notebook, name: str) -> Answer | str:
    """Return the code that the answer `name` needs, or a sentence that says why there is none."""
    follower = _Follower(notebook)
    binders = follower.binders.get(name, [])
    runnable = [s for s in binders if s.runs]
    if not runnable:
        if binders:
            return f"{name!r} is only made in cell {binders[-1].cell}, in a part that the grader does not run"
        pattern = re.compile(rf"^\s*(?:def|class)\s+{re.escape(name)}\b|^\s*{re.escape(name)}\s*[:=]", re.MULTILINE)
        for number, source in notebook.broken.items():
            if pattern.search(source):
                return f"{name!r} seems to be in cell {number}, which has a syntax error"
        return f"{name!r} is defined in no cell"
    if isinstance(runnable[-1].node, (ast.Import, ast.ImportFrom)):
        return f"{name!r} is imported in cell {runnable[-1].cell} and not written"
    follower.follow(name, END)
    notes = []
    if len(runnable) > 1:
        cells = ", ".join(str(s.cell) for s in runnable)
        notes.append(f"{name} is defined {len(runnable)} times (cells {cells}); the last one counts")
    pieces = sorted(follower.order.values(), key=lambda s: s.position)
    if _out_of_order(pieces, follower):
        pieces = list(follower.order.values())
        notes.append("the cells do not run from top to bottom")
    notes += sorted({f"uses {module}" for s in pieces for module in _course_imports(s.node)})
    code = tuple((s.source, f"cell {s.cell}") for s in pieces)
    return Answer(code, follower.missing, tuple(notes))


def _out_of_order(pieces: list[Statement], follower: _Follower) -> bool:
    """Return whether some statement uses at once what only a later one binds."""
    bound: set[str] = set()
    own = {name for piece in pieces for name in piece.binds}
    for piece in pieces:
        at_once, _ = follower.needed(piece)
        if (at_once & own) - bound - piece.binds:
            return True
        bound |= piece.binds
    return False


def _course_imports(node: ast.stmt) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names if alias.name.split(".")[0] == "gancourse")
        elif isinstance(each, ast.ImportFrom) and (each.module or "").split(".")[0] == "gancourse":
            yield each.module or ""
