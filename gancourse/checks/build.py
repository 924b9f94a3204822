"""The student copies: ``notebooks/solutions/*.ipynb`` without what stands between the markers.

    # BEGIN SOLUTION: optional words for the student
    # END SOLUTION

Inside a function the lines between become ``raise NotImplementedError("Your turn: …")``. At column 0 each name that
they bind, and that is used elsewhere, becomes ``name = None  # your turn``. A cell tagged ``solution`` is left out
altogether. A cell tagged ``given`` holds code that students are meant to see: its lines may appear in solutions.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancourse.checks.sets import INDEX
from gancourse.errors import UserError, unknown

if TYPE_CHECKING:
    from nbformat import NotebookNode

SHORTEST = 16
"""Solution lines with fewer characters, spaces not counted, are too common to be called a leak."""

MARKER = re.compile(r"(?P<indent>[ \t]*)# (?P<edge>BEGIN|END) SOLUTION(?:: *(?P<words>.*\S))? *")
ALMOST_A_MARKER = re.compile(r"#.*\b(BEGIN|END)[ _-]*SOLUTION", re.IGNORECASE)
_MAGIC = re.compile(r"^(\s*)([%!]\w.*|%%.*)$", re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")
_SITE_FILES = {".html", ".htm", ".md", ".txt", ".js", ".json", ".ipynb", ".py", ".rst", ".xml"}


def checkout() -> Path:
    """Return the root of the checkout that this package lies in.

    Raises:
        UserError: the package was installed as a wheel, which has no solutions and no mutants.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "notebooks" / "solutions").is_dir():
        raise UserError(
            f"There is no notebooks/solutions beside the package in {root}. Building, testing and exporting exercises "
            "needs a checkout of the repository, installed with pip install -e ."
        )
    return root


def sources(root: Path, only: str | None = None) -> list[Path]:
    """Return the source notebooks, in order; with `only` one: ``02``, ``02_first_gan``, or its set, ``first_gan``.

    Raises:
        UserError: there is no such source.
    """
    paths = sorted((root / "notebooks" / "solutions").glob("*.ipynb"))
    if only is None:
        return paths
    wanted = INDEX[only][0] if only in INDEX else only
    found = [path for path in paths if wanted in (path.stem, path.stem[:2], path.stem[:2].lstrip("0"))]
    if not found:
        raise unknown("exercise notebook", only, [path.stem for path in paths])
    return found


def read(path: Path) -> NotebookNode:
    """Return a notebook, read with nbformat.

    Raises:
        UserError: nbformat is missing, or the file is no notebook.
    """
    try:
        import nbformat
    except ImportError:
        raise UserError("This needs the package nbformat: pip install nbformat") from None
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path} is not a notebook: {error}") from None


def plain(cell: NotebookNode) -> str:
    """Return a code cell's source with magics and shell lines replaced by ``pass``, so that it parses."""
    return _MAGIC.sub(r"\1pass", cell.source)


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return list(cell.metadata.get("tags", []))


# Regions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """The lines between two markers: of lines ``first`` to ``last`` (0-based) these two are the markers."""

    first: int
    last: int
    indent: str
    words: str

    def body(self, lines: list[str]) -> list[str]:
        """Return the lines between the markers."""
        return lines[self.first + 1 : self.last]


def regions(source: str, place: str) -> list[Region]:
    """Return the regions of one cell.

    Raises:
        UserError: markers are unbalanced, nested, misspelt, empty or differently indented; `place` is named.
    """
    found: list[Region] = []
    opened: tuple[int, re.Match[str]] | None = None
    for number, text in enumerate(source.splitlines()):
        match = MARKER.fullmatch(text)
        where = f"{place}, line {number + 1}"
        if match is None:
            if ALMOST_A_MARKER.search(text):
                raise UserError(
                    f"{where}: {text.strip()!r} is almost a marker; write '# BEGIN SOLUTION' on its own line."
                )
            continue
        if match["edge"] == "BEGIN":
            if opened is not None:
                raise UserError(f"{where}: BEGIN SOLUTION inside a solution; line {opened[0] + 1} has no END yet.")
            opened = number, match
            continue
        if opened is None:
            raise UserError(f"{where}: END SOLUTION without a BEGIN SOLUTION above it in this cell.")
        first, begin = opened
        if begin["indent"] != match["indent"]:
            raise UserError(f"{where}: END SOLUTION is not indented like its BEGIN in line {first + 1}.")
        if number == first + 1:
            raise UserError(f"{where}: nothing stands between BEGIN and END SOLUTION.")
        found.append(Region(first, number, match["indent"], begin["words"] or ""))
        opened = None
    if opened is not None:
        raise UserError(f"{place}, line {opened[0] + 1}: BEGIN SOLUTION without an END SOLUTION in this cell.")
    return found


def strip_cell(source: str, found: Iterable[Region], used: set[str]) -> str:
    """Return a cell's source with stubs in place of its regions; `used` are names that need a placeholder."""
    lines = source.splitlines()
    for region in reversed(list(found)):
        lines[region.first : region.last + 1] = stub(lines, region, used)
    return "\n".join(lines)


def stub(lines: list[str], region: Region, used: set[str]) -> list[str]:
    """Return the lines that stand in a student copy where `region` stands in the source cell `lines`."""
    return _stub_in_function(lines, region) if region.indent else _stub_of_names(lines, region, used)


def _stub_in_function(lines: list[str], region: Region) -> list[str]:
    words = region.words or f"write {_enclosing(lines, region)}"
    return [f"{region.indent}raise NotImplementedError({json.dumps(f'Your turn: {words}', ensure_ascii=False)})"]


def _enclosing(lines: list[str], region: Region) -> str:
    """Return the name of the function or class that a region stands in."""
    for text in reversed(lines[: region.first]):
        match = re.match(r"(\s*)(?:async\s+)?(?:def|class)\s+(\w+)", text)
        if match and len(match[1]) < len(region.indent):
            return match[2]
    return "this part"


def _stub_of_names(lines: list[str], region: Region, used: set[str]) -> list[str]:
    words = f": {region.words}" if region.words else ""
    stubs: dict[str, str] = {}
    for node in ast.parse("\n".join(region.body(lines))).body:
        empty = '""' if isinstance(node, ast.Assign) and _is_text(node.value) else "None"
        stubs |= dict.fromkeys(_bound(node), empty)
    shown = [f"{name} = {empty}  # your turn{words}" for name, empty in stubs.items() if name in used]
    return shown or [f"# your turn{words}"]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)


def _bound(node: ast.stmt) -> list[str]:
    """Return the names that a statement binds, in order."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _used(source: str) -> set[str]:
    """Return the names that a piece of code reads."""
    return {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


# Notebooks -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Student:
    """A student copy and what must not be in it."""

    name: str
    notebook: NotebookNode
    secrets: tuple[str, ...]  # solution lines, as written
    given: str  # code that may repeat them, squeezed

    def text(self) -> str:
        """Return the file's text; the same source gives the same bytes."""
        import nbformat

        return nbformat.writes(self.notebook, version=nbformat.NO_CONVERT) + "\n"


def student_copy(path: Path) -> Student:
    """Return the student copy of a source notebook.

    Raises:
        UserError: the markers are wrong, a cell does not parse, or a solution line is left; nothing is written.
    """
    notebook = read(path)
    found = all_regions(notebook, path.name)
    secrets: list[str] = []
    for cell, cell_regions in zip(notebook.cells, found, strict=True):
        if "solution" in tags(cell):
            secrets += cell.source.splitlines()
        for region in cell_regions:
            secrets += region.body(cell.source.splitlines())
    used = names_used_outside(notebook, found, path.name)
    kept = []
    for cell, cell_regions in zip(notebook.cells, found, strict=True):
        if "solution" in tags(cell):
            continue
        if cell.cell_type == "code":
            cell.source = strip_cell(cell.source, cell_regions, used)
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            cell.source = cell.source.replace("/notebooks/solutions/", "/notebooks/exercises/")
        kept.append(cell)
    notebook.cells = kept
    given = squeeze("\n".join(cell.source for cell in kept if "given" in tags(cell)))
    student = Student(path.stem, notebook, tuple(secrets), given)
    _check_copy(student)
    return student


def all_regions(notebook: NotebookNode, name: str) -> list[list[Region]]:
    """Return the regions of each cell; `name` is the notebook's, for messages.

    Raises:
        UserError: the markers of a cell are wrong.
    """
    return [_cell_regions(cell, f"{name}, cell {number}") for number, cell in enumerate(notebook.cells, 1)]


def _cell_regions(cell: NotebookNode, place: str) -> list[Region]:
    found = regions(cell.source, place)
    if found and cell.cell_type != "code":
        raise UserError(f"{place}: markers belong into code cells; tag a Markdown cell 'solution' to leave it out.")
    if found and "solution" in tags(cell):
        raise UserError(f"{place}: a cell tagged 'solution' is left out as a whole, and needs no markers.")
    return found


def names_used_outside(notebook: NotebookNode, found: list[list[Region]], name: str) -> set[str]:
    """Return the names that the code outside the regions reads.

    Raises:
        UserError: a cell does not parse.
    """
    used: set[str] = set()
    for number, (cell, cell_regions) in enumerate(zip(notebook.cells, found, strict=True), 1):
        if cell.cell_type != "code" or "solution" in tags(cell):
            continue
        try:
            ast.parse(plain(cell))
            used |= _used(_MAGIC.sub(r"\1pass", strip_cell(cell.source, cell_regions, set())))
        except SyntaxError as error:
            raise UserError(f"{name}, cell {number}: {error.msg} in line {error.lineno}.") from None
    return used


def _check_copy(student: Student) -> None:
    for number, cell in enumerate(student.notebook.cells, 1):
        if cell.cell_type == "code":
            try:
                ast.parse(plain(cell))
            except SyntaxError as error:
                raise UserError(f"{student.name}, cell {number} of the student copy: {error.msg}.") from None
    if leak := leaks(student, _strings(student.notebook)):
        raise UserError(
            f"{student.name}: the student copy would show the solution line {leak[0]!r}. If that is meant to be seen, "
            "tag the cell that shows it 'given'."
        )


# Leaks -----------------------------------------------------------------------------------------------


def squeeze(text: str) -> str:
    """Return a text without any white space."""
    return "".join(text.split())


def leaks(student: Student, texts: Iterable[str]) -> list[str]:
    """Return the solution lines that appear in one of the texts and are not given."""
    secrets = {squeeze(line): line.strip() for line in student.secrets}
    secrets = {key: line for key, line in secrets.items() if len(key) >= SHORTEST and key not in student.given}
    haystack = "\n".join(squeeze(text) for text in texts)
    return [line for key, line in secrets.items() if key in haystack]


def _strings(value: Any) -> Iterator[str]:
    """Yield every text inside a notebook: sources, metadata, outputs. A list of lines is joined."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield "".join(value)
        else:
            for item in value:
                yield from _strings(item)


def site_leaks(students: Iterable[Student], site: Path, root: Path) -> list[str]:
    """Return one sentence for each solution line on the built site.

    Lines that chapters, pages, the package itself or cells tagged ``given`` of any set show are no secrets.

    Raises:
        UserError: there is no such folder.
    """
    if not site.is_dir():
        raise UserError(f"There is no folder {site}; build the site first, with make book.")
    students = list(students)
    shown = squeeze("\n".join([*_public_texts(root), *(s.given for s in students)]))
    watched = [Student(s.name, s.notebook, s.secrets, s.given + shown) for s in students]
    found = []
    for path in sorted(p for p in site.rglob("*") if p.suffix in _SITE_FILES and p.is_file()):
        texts = list(_file_texts(path))
        for student in watched:
            place = f"{path.relative_to(site)} shows a solution of {student.name}"
            found += [f"{place}: {line}" for line in leaks(student, texts)]
    return found


def _public_texts(root: Path) -> Iterator[str]:
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        yield from _strings(json.loads(path.read_text(encoding="utf-8")))
    for folder, pattern in (("book", "*.md"), ("gancourse", "*.py")):
        for path in sorted((root / folder).rglob(pattern)):
            yield path.read_text(encoding="utf-8")


def _file_texts(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    yield text
    if path.suffix in (".html", ".htm"):
        yield html.unescape(_TAG.sub("", text))
    if path.suffix in (".ipynb", ".json"):
        try:
            yield from _strings(json.loads(text))
        except ValueError:
            return


# The command -----------------------------------------------------------------------------------------


def build(only: str | None = None, *, check: bool = False, site: Path | None = None, root: Path | None = None) -> str:
    """Write the student copies, or with `check` compare them with the sources; return what was done, in a sentence.

    Every copy is made and scanned before the first is written.

    Raises:
        UserError: a source is wrong, a solution line leaks, or with `check` a copy is not what its source gives.
    """
    root = root or checkout()
    students = [student_copy(path) for path in sources(root, only)]
    folder = root / "notebooks" / "exercises"
    if site is not None and (found := site_leaks(students, site, root)):
        raise UserError("\n".join(found))
    lines = sum(len(s.secrets) for s in students)
    scanned = f"{len(students)} student copies, {lines} solution lines, none of them visible"
    if check:
        _compare(students, folder, everything=only is None)
        return f"{scanned}; every copy is what its source gives"
    from gancourse.runtime import write_atomic

    folder.mkdir(exist_ok=True)
    for student in students:
        write_atomic(folder / f"{student.name}.ipynb", student.text().encode())
    return f"{scanned}; written to {folder.relative_to(root)}"


def _compare(students: list[Student], folder: Path, everything: bool) -> None:
    stale = []
    for student in students:
        path = folder / f"{student.name}.ipynb"
        if not path.exists() or path.read_bytes() != student.text().encode():
            stale.append(path.name)
    if everything:
        stale += sorted({p.name for p in folder.glob("*.ipynb")} - {f"{s.name}.ipynb" for s in students})
    if stale:
        raise UserError(
            f"notebooks/exercises is not what the sources give: {', '.join(stale)}. "
            "Run gancourse exercises build; change only the sources in notebooks/solutions."
        )


# Executing -------------------------------------------------------------------------------------------


def execute(notebook: NotebookNode, name: str, *, checks: bool = False) -> dict[str, Any]:
    """Execute the code cells in a fresh namespace, without a kernel, and return the namespace.

    Cells tagged ``training`` are left out, and so are magics; without `checks` also the lines that call ``check``
    or ``summary``.
    """
    namespace: dict[str, Any] = {"__name__": f"exercises_{name}"}
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code" or "training" in tags(cell):
            continue
        tree = ast.parse(plain(cell))
        if not checks:
            tree.body = [node for node in tree.body if not is_check(node)]
        exec(compile(tree, f"<{name}, cell {number}>", "exec"), namespace)
    return namespace


def is_check(node: ast.stmt) -> bool:
    """Return whether a statement calls ``check`` or ``summary``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    function = node.value.func
    return isinstance(function, ast.Name) and function.id in ("check", "summary")
