"""The exercise sets as assignments for nbgrader 0.9 and Otter 7, for classes that use one of them already.

Both tools run the tests inside the student's kernel and execute whole notebooks. The tests call
``gancourse.checks.require``, so the package must be installed where the tool grades.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancourse import checks
from gancourse.checks import build
from gancourse.checks.build import Region
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError, unknown

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from gancourse.checks.core import Exercise

_BADGE = re.compile(r"\[Open in Colab\]\([^)]*\)\n*")
IMPORT = "from gancourse.checks import require"


@dataclass
class Part:
    """A cell of a source on its way into an assignment; a check cell knows the exercises that it checks."""

    cell: NotebookNode
    regions: list[Region]
    exercises: list[Exercise]


def parts(path: Path) -> tuple[NotebookNode, list[Part], set[str]]:
    """Return a source, its cells without calls of ``check`` and ``summary``, and the names that need a placeholder.

    Cells tagged ``solution`` are left out: the tools' own copies of solutions keep what stands between the markers.
    """
    notebook = build.read(path)
    found = build.all_regions(notebook, path.name)
    used = build.names_used_outside(notebook, found, path.name)
    kept: list[Part] = []
    for cell, regions in zip(notebook.cells, found, strict=True):
        if "solution" in build.tags(cell):
            continue
        part = Part(cell, regions, [])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            part.exercises = _take_checks(cell)
            if not cell.source.strip() and not part.exercises:
                if kept and re.fullmatch(r"#+ .*", kept[-1].cell.source):  # the heading of the summary
                    kept.pop()
                continue
        else:
            cell.source = _BADGE.sub("", cell.source)  # it opens the course's copy, not the class's
        kept.append(part)
    return notebook, kept, used


def _take_checks(cell: NotebookNode) -> list[Exercise]:
    """Remove the lines of a cell that call ``check`` or ``summary``, and return the exercises that were checked."""
    statements = [node for node in ast.parse(build.plain(cell)).body if build.is_check(node)]
    lines = cell.source.splitlines()
    exercises: list[Exercise] = []
    for node in reversed(statements):
        call = node.value  # type: ignore[attr-defined]
        if call.func.id == "check":
            exercises.insert(0, checks.exercise(ast.literal_eval(call.args[0])))
        del lines[node.lineno - 1 : node.end_lineno]
    cell.source = "\n".join(lines)
    return exercises


def check_lines(exercises: list[Exercise]) -> str:
    """Return the code of a test cell: one call for each exercise that a machine can grade."""
    calls = [f'require("{e.name}", {e.answer})' for e in exercises if e.kind != "text"]
    return "\n".join([IMPORT, *calls]) if calls else ""


def answered(part: Part, exercises: list[Exercise]) -> list[Exercise]:
    """Return the exercises whose answer a cell with regions binds."""
    if not part.regions:
        return []
    nodes = list(ast.walk(ast.parse(build.plain(part.cell))))
    names = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return [e for e in exercises if e.answer in names]


def grade_id(exercise: Exercise, suffix: str = "") -> str:
    """Return a name that both tools accept: letters, digits, hyphens and underscores."""
    return exercise.name.replace(".", "-") + suffix


# nbgrader --------------------------------------------------------------------------------------------


def _nbgrader_metadata(name: str, *, grade: bool, solution: bool, points: int = 0) -> dict[str, Any]:
    metadata = {"grade": grade, "grade_id": name, "locked": not solution, "schema_version": 3, "solution": solution}
    return metadata | {"task": False} | ({"points": points} if grade else {})


def to_nbgrader(path: Path) -> NotebookNode:
    """Return the source notebook of an nbgrader assignment.

    Answers are solution cells with nbgrader's markers, tests are locked test cells with points, and texts are
    graded by hand.
    """
    notebook, kept, _ = parts(path)
    exercises = [e for part in kept for e in part.exercises]
    cells = []
    for number, part in enumerate(kept):
        cell = part.cell
        if part.regions:
            lines = cell.source.splitlines()
            for region in part.regions:
                lines[region.first] = f"{region.indent}### BEGIN SOLUTION"
                lines[region.last] = f"{region.indent}### END SOLUTION"
            cell.source = "\n".join(lines)
            mine = answered(part, exercises)
            points = sum(e.points for e in mine if e.kind == "text")
            name = grade_id(mine[0]) if mine else f"cell-{number}"
            cell.metadata.nbgrader = _nbgrader_metadata(name, grade=points > 0, solution=True, points=points)
        if part.exercises:
            cells += _nbgrader_tests(part)
        else:
            cells.append(cell)
    notebook.cells = cells
    return notebook


def _nbgrader_tests(part: Part) -> list[NotebookNode]:
    """Return the test cell of each exercise of a check cell, and what else stands in the cell behind them."""
    cells = []
    for exercise in part.exercises:
        if exercise.kind == "text":
            continue
        cell = copy.deepcopy(part.cell)
        cell.id, cell.source = grade_id(exercise, "-test"), check_lines([exercise])
        cell.metadata.nbgrader = _nbgrader_metadata(cell.id, grade=True, solution=False, points=exercise.points)
        cells.append(cell)
    return cells + ([part.cell] if part.cell.source.strip() else [])


# Otter -----------------------------------------------------------------------------------------------


def to_otter(path: Path) -> NotebookNode:
    """Return the source notebook for ``otter assign``: raw cells mark the questions, their solutions and tests.

    Texts become questions that are graded by hand.
    """
    from nbformat.v4 import new_code_cell, new_raw_cell

    notebook, kept, used = parts(path)
    exercises = [e for part in kept for e in part.exercises]
    cells = [new_raw_cell("# ASSIGNMENT CONFIG\ninit_cell: true\nexport_cell: false\nrun_tests: true")]
    for part in kept:
        mine = answered(part, exercises)
        if part.regions:
            part.cell.source = _otter_solution(part, used)
        if len(mine) > 1:
            raise UserError(
                f"{path.name}: one cell answers {', '.join(e.name for e in mine)}; Otter wants a cell for each."
            )
        if not mine:
            if part.cell.source.strip():
                cells.append(part.cell)
            continue
        (exercise,) = mine
        manual = "\nmanual: true" if exercise.kind == "text" else ""
        question = f"# BEGIN QUESTION\nname: {grade_id(exercise)}\npoints: {exercise.points}{manual}"
        statement = [cells.pop()] if cells[-1].cell_type == "markdown" else []
        cells += [new_raw_cell(question), *statement]
        cells += [new_raw_cell("# BEGIN SOLUTION"), part.cell, new_raw_cell("# END SOLUTION")]
        if exercise.kind != "text":
            cells += [
                new_raw_cell("# BEGIN TESTS"),
                new_code_cell(check_lines([exercise])),
                new_raw_cell("# END TESTS"),
            ]
        cells.append(new_raw_cell("# END QUESTION"))
    for number, cell in enumerate(cells):
        if cell.cell_type == "raw" or not cell.get("source", "").find(IMPORT):
            cell.id = f"otter-{number}"  # the same source gives the same bytes
    notebook.cells = cells
    return notebook


def _otter_solution(part: Part, used: set[str]) -> str:
    """Return a cell with Otter's markers, and with the course's own stubs as prompts."""
    lines = part.cell.source.splitlines()
    for region in reversed(part.regions):
        prompt = build.stub(lines, region, used)
        lines[region.first : region.last + 1] = [
            f"{region.indent}# BEGIN SOLUTION NO PROMPT",
            *region.body(lines),
            f"{region.indent}# END SOLUTION",
            f'{region.indent}""" # BEGIN PROMPT',
            *prompt,
            f'{region.indent}"""; # END PROMPT',
        ]
    return "\n".join(lines)


# The command -----------------------------------------------------------------------------------------

TOOLS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nbgrader": (to_nbgrader, "source/{name}/{name}.ipynb"),
    "otter": (to_otter, "{name}/{name}.ipynb"),
}


def export(tool: str, out: Path, only: str | None = None, root: Path | None = None) -> str:
    """Write assignments for a tool into a folder, and return what was written, in a sentence.

    Raises:
        UserError: the tool is unknown, a source is wrong, or a file is there already.
    """
    if tool not in TOOLS:
        raise unknown("tool", tool, TOOLS)
    import nbformat

    from gancourse.runtime import write_atomic

    convert, place = TOOLS[tool]
    known = [chapter for chapter, _ in INDEX.values()]
    paths = [path for path in build.sources(root or build.checkout(), only) if path.stem in known]
    made = {out / place.format(name=path.stem): convert(path) for path in paths}
    if there := [path for path in made if path.exists()]:
        raise UserError(f"{there[0]} is there already; give --out another folder, or remove it.")
    for path, notebook in made.items():
        nbformat.validate(notebook)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, (nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n").encode())
    return f"{len(made)} assignments for {tool}: {', '.join(str(path) for path in made)}"
