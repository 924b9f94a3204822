"""Assignments for nbgrader and Otter: their markers and metadata, and their own commands where they are installed."""

import ast
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

from gancourse import checks, cli
from gancourse.checks import build
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError
from gancourse.grading import export

CHAPTERS = {chapter: word for word, (chapter, _) in INDEX.items()}


def exported(tool, chapter):
    notebook = export.TOOLS[tool][0](ROOT / "notebooks" / "solutions" / f"{chapter}.ipynb")
    nbformat.validate(notebook)
    return notebook


def secret_lines(chapter):
    path = ROOT / "notebooks" / "solutions" / f"{chapter}.ipynb"
    return build.student_copy(path)


def exercises(chapter, *, text):
    return [e for e in checks.load_set(CHAPTERS[chapter]).exercises if (e.kind == "text") is text]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nbgrader_metadata_is_what_its_schema_3_asks_for(chapter):
    notebook = exported("nbgrader", chapter)
    marked = [(cell, cell.metadata.nbgrader) for cell in notebook.cells if "nbgrader" in cell.metadata]
    ids = [data.grade_id for _, data in marked]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
    points = {"tests": 0, "by hand": 0}
    for cell, data in marked:
        assert data.schema_version == 3 and data.task is False and cell.cell_type == "code"
        assert data.locked == (not data.solution) and ("points" in data) == data.grade
        assert data.grade or data.solution
        assert data.solution == ("### BEGIN SOLUTION" in cell.source) == ("### END SOLUTION" in cell.source)
        if not data.solution:
            assert cell.source.startswith(export.IMPORT)
        if data.grade:
            points["by hand" if data.solution else "tests"] += data.points
    for kind, text in (("tests", False), ("by hand", True)):
        assert points[kind] == sum(e.points for e in exercises(chapter, text=text))
    assert not re.search(r"(?<!#)# BEGIN SOLUTION", "\n".join(cell.source for cell in notebook.cells))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_otter_questions_are_complete_and_in_order(chapter):
    notebook = exported("otter", chapter)
    assert notebook.cells[0].source.startswith("# ASSIGNMENT CONFIG") and notebook.cells[0].cell_type == "raw"
    marks = [cell.source.splitlines()[0] for cell in notebook.cells[1:] if cell.cell_type == "raw"]
    solution, tests = ["# BEGIN SOLUTION", "# END SOLUTION"], ["# BEGIN TESTS", "# END TESTS"]
    expected = []
    for exercise in checks.load_set(CHAPTERS[chapter]).exercises:
        expected += ["# BEGIN QUESTION", *solution, *([] if exercise.kind == "text" else tests), "# END QUESTION"]
    assert marks == expected
    configs = [cell.source for cell in notebook.cells if cell.source.startswith("# BEGIN QUESTION")]
    for exercise, config in zip(checks.load_set(CHAPTERS[chapter]).exercises, configs, strict=True):
        assert f"name: {export.grade_id(exercise)}\npoints: {exercise.points}" in config
        assert ("manual: true" in config) == (exercise.kind == "text")


@pytest.mark.parametrize("tool", export.TOOLS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_exported_solutions_pass_their_exported_tests(tool, chapter):
    notebook = exported(tool, chapter)
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    for exercise in exercises(chapter, text=False):
        assert source.count(f'require("{exercise.name}", {exercise.answer})') == 1
    assert "check(" not in source.replace("grader.check(", "") and "summary(" not in source
    build.execute(notebook, chapter)  # require() raises for a wrong answer


@pytest.mark.parametrize("tool", export.TOOLS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_the_tools_cut_out_holds_every_solution_line(tool, chapter):
    notebook = exported(tool, chapter)
    begin, end = ("### BEGIN", "### END") if tool == "nbgrader" else ("# BEGIN SOLUTION NO PROMPT", "# END SOLUTION")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(rf"(?ms)^ *{begin}.*?^ *{end}[^\n]*\n?", "", cell.source + "\n")
    assert build.leaks(secret_lines(chapter), [cell.source for cell in notebook.cells]) == []


def test_otter_prompts_are_the_stubs_of_the_student_copies():
    cells = {cell.id: cell.source for cell in exported("otter", "01_two_players").cells}
    student = {cell.id: cell.source for cell in secret_lines("01_two_players").notebook.cells}
    stub = student["d-loss"].splitlines()[-1]
    assert f'""" # BEGIN PROMPT\n{stub}\n    """; # END PROMPT' in cells["d-loss"]
    ast.parse(cells["d-loss"])


def test_the_command_writes_once_and_the_same_bytes(tmp_path, capsys):
    for tool in export.TOOLS:
        for copy in ("a", "b"):
            assert cli.main(["exercises", "export", "--to", tool, "--out", str(tmp_path / copy), "--only", "01"]) == 0
        first, second = (sorted(p for p in (tmp_path / c).rglob("01_*.ipynb")) for c in ("a", "b"))
        assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
        assert cli.main(["exercises", "export", "--to", tool, "--out", str(tmp_path / "a")]) == 1
        assert "is there already" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "a")
        shutil.rmtree(tmp_path / "b")
    with pytest.raises(SystemExit):
        cli.main(["exercises", "export", "--to", "oter", "--out", str(tmp_path)])
    assert "Did you mean 'otter'?" in capsys.readouterr().err
    with pytest.raises(UserError, match="Did you mean 'otter'"):
        export.export("oter", tmp_path)


def test_require_raises_with_the_hint():
    with pytest.raises(AssertionError, match="swapped"):
        checks.require(
            "game.d_loss", lambda real, fake: (1 + real.exp()).log().mean() + (1 + (-fake).exp()).log().mean()
        )


def test_nbgrader_itself_accepts_the_sources(tmp_path):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed")
    export.export("nbgrader", tmp_path, "01")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "01_two_players", "--create", "--course-dir=."]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    assert (tmp_path / "release" / "01_two_players" / "01_two_players.ipynb").is_file()


def test_otter_itself_accepts_the_sources(tmp_path):
    pytest.importorskip("otter", reason="otter-grader is not installed")
    export.export("otter", tmp_path, "01")
    command = [sys.executable, "-m", "otter", "assign", "01_two_players.ipynb", "dist"]
    assert subprocess.run(command, cwd=tmp_path / "01_two_players").returncode == 0
