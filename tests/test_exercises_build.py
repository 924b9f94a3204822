"""The student copies: made from the solutions, never leaking them, failing every check while they are blank."""

import ast
import contextlib
import io
import re
import shutil

import chapters
import colab
import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gancourse import checks, cli
from gancourse.checks import build
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError

SOURCES = {path.stem: path for path in build.sources(ROOT)}
LOSS = '''def d_loss(real, fake):
    """Return a scalar."""
    # BEGIN SOLUTION: two terms
    first = softplus(-real).mean()
    return first + softplus(fake).mean()
    # END SOLUTION'''


@pytest.fixture
def repository(tmp_path):
    """A checkout with the folders that the build reads; `add` writes one source."""
    for folder in ("solutions", "exercises"):
        (tmp_path / "notebooks" / folder).mkdir(parents=True)
    for folder in ("book", "gancourse"):
        (tmp_path / folder).mkdir()

    def add(*cells, name="01_demo"):
        path = tmp_path / "notebooks" / "solutions" / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        return path

    add.root = tmp_path
    return add


def code(source, **metadata):
    return new_code_cell(source, metadata=metadata)


def stripped(*cells, repository):
    return build.student_copy(repository(*cells)).notebook.cells


# Every source ----------------------------------------------------------------------------------------


def test_the_student_copies_are_what_the_sources_give():
    told = build.build(check=True)
    assert "every copy is what its source gives" in told


def test_every_set_has_a_source_and_every_source_a_set():
    assert sorted(SOURCES) == sorted(chapter for chapter, _ in INDEX.values())


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_committed_clean(name):
    notebook = build.read(SOURCES[name])
    (word,) = (word for word, (chapter, _) in INDEX.items() if chapter == name)
    assert notebook.metadata["gancourse"] == {"exercises": word}
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count"), f"{name}, cell {cell.id}: outputs"
        assert not re.fullmatch(r"[0-9a-f]{6,}", cell.id), f"{name}: give cell {cell.id} a readable id"
    config, version = chapters.config(), chapters.version()
    badge = colab.badge(config, f"notebooks/exercises/{name}.ipynb")
    assert badge in notebook.cells[0].source
    (install,) = (cell for cell in notebook.cells if cell.cell_type == "code" and "%pip" in cell.source)
    assert colab.extra_packages(install.source, colab.install_cell(config, version)) is not None


def called(notebook, function):
    """Return the arguments, as source, of each call of a function in a notebook."""
    trees = [ast.parse(build.plain(cell)) for cell in notebook.cells if cell.cell_type == "code"]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [[ast.unparse(arg) for arg in c.args] for c in calls if getattr(c.func, "id", "") == function]


@pytest.mark.parametrize("word", INDEX)
def test_each_exercise_has_one_check_cell_and_the_summary_comes_last(word):
    notebook = build.read(SOURCES[INDEX[word][0]])
    expected = [[repr(e.name), e.answer] for e in checks.load_set(word).exercises]
    assert called(notebook, "check") == expected
    assert notebook.cells[-1].source == f'summary("{word}")'


@pytest.mark.parametrize("word", INDEX)
def test_the_blank_copy_fails_every_check_and_the_solutions_pass_all(word, monkeypatch):
    chapter = INDEX[word][0]
    names = {e.name for e in checks.load_set(word).exercises}
    verdicts = {}
    for folder in ("exercises", "solutions"):
        monkeypatch.setattr(checks, "_checked", {})
        notebook = build.read(ROOT / "notebooks" / folder / f"{chapter}.ipynb")
        with contextlib.redirect_stdout(io.StringIO()):
            build.execute(notebook, chapter, checks=True)
        verdicts[folder] = dict(checks._checked)
    assert set(verdicts["exercises"]) == set(verdicts["solutions"]) == names
    blank = {name: judged.hint_id for name, judged in verdicts["exercises"].items()}
    assert set(blank.values()) <= {"not-done", "type"}, blank
    assert [name for name, judged in verdicts["solutions"].items() if not judged.ok] == []


# Markers ---------------------------------------------------------------------------------------------

BAD = {
    "no end": (LOSS.replace("    # END SOLUTION", ""), "line 3: BEGIN SOLUTION without an END"),
    "no begin": (LOSS.replace("    # BEGIN SOLUTION: two terms\n", ""), "line 5: END SOLUTION without a BEGIN"),
    "nested": (
        LOSS.replace("    first", "    # BEGIN SOLUTION\n    first"),
        "line 4: BEGIN SOLUTION inside a solution",
    ),
    "indented": (LOSS.replace("    # END", "        # END"), "line 6: END SOLUTION is not indented like its BEGIN"),
    "empty": ("# BEGIN SOLUTION\n# END SOLUTION", "nothing stands between"),
    "nbgrader's": (LOSS.replace("# BEGIN", "### BEGIN"), "almost a marker"),
    "lower case": (LOSS.replace("BEGIN SOLUTION", "begin solution"), "almost a marker"),
    "behind code": ("x = 1  # BEGIN SOLUTION\n# END SOLUTION", "almost a marker"),
    "no Python": ("# BEGIN SOLUTION\nx = \n# END SOLUTION", "invalid syntax"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_markers_are_refused_with_notebook_and_cell(repository, name):
    source, words = BAD[name]
    repository(new_markdown_cell("# Title"), code("x = 1"), code(source))
    with pytest.raises(UserError, match=r"01_demo.*cell 3") as caught:
        build.build(root=repository.root)
    assert words in str(caught.value)
    assert not list((repository.root / "notebooks" / "exercises").iterdir())


def test_markers_in_markdown_and_in_cells_that_are_left_out_are_refused(repository):
    with pytest.raises(UserError, match="markers belong into code cells"):
        stripped(new_markdown_cell("# BEGIN SOLUTION\nx\n# END SOLUTION"), repository=repository)
    with pytest.raises(UserError, match="left out as a whole"):
        stripped(code("# BEGIN SOLUTION\nx\n# END SOLUTION", tags=["solution"]), repository=repository)


# Stubs -----------------------------------------------------------------------------------------------


def test_a_stub_says_what_to_do(repository):
    (cell,) = stripped(code(LOSS), repository=repository)
    assert cell.source.endswith('"""Return a scalar."""\n    raise NotImplementedError("Your turn: two terms")')
    (cell,) = stripped(code(LOSS.replace(": two terms", "")), repository=repository)
    assert cell.source.endswith('raise NotImplementedError("Your turn: write d_loss")')


def test_two_gaps_in_one_cell(repository):
    source = LOSS + "\n\n\nclass G:\n    def forward(self, z):\n" + "        # BEGIN SOLUTION\n        return z\n"
    (cell,) = stripped(code(source + "        # END SOLUTION"), repository=repository)
    assert cell.source.count("raise NotImplementedError") == 2 and "Your turn: write forward" in cell.source


def test_values_and_texts_become_empty_names_and_helpers_vanish(repository):
    value = "# BEGIN SOLUTION: in nats\nlogs = [1, 2]\nhalf = sum(logs)\n# END SOLUTION"
    text = '# BEGIN SOLUTION\nwhy = """Because."""\n# END SOLUTION'
    tail = "check('a', half)\ncheck('b', why)"
    first, second, _ = stripped(code(value), code(text), code(tail), repository=repository)
    assert first.source == "half = None  # your turn: in nats"
    assert second.source == 'why = ""  # your turn'


def test_a_function_that_is_all_solution_becomes_a_name(repository):
    source = "# BEGIN SOLUTION\ndef f(x):\n    return x\n# END SOLUTION"
    first, _ = stripped(code(source), code("check('a', f)"), repository=repository)
    assert first.source == "f = None  # your turn"


def test_ids_and_metadata_stay_outputs_go_and_the_bytes_are_the_same(repository):
    cell = code(LOSS, tags=["hide-input"])
    cell.id, cell.outputs, cell.execution_count = "d-loss", [new_output("stream", text="42")], 3
    path = repository(cell, new_markdown_cell("see /notebooks/solutions/01_demo.ipynb"))
    student = build.student_copy(path)
    first, second = student.notebook.cells
    assert (first.id, first.metadata, first.outputs, first.execution_count) == (
        "d-loss",
        {"tags": ["hide-input"]},
        [],
        None,
    )
    assert second.source == "see /notebooks/exercises/01_demo.ipynb"
    assert student.text() == build.student_copy(path).text() and student.text().endswith("}\n")


def test_a_cell_tagged_solution_is_left_out(repository):
    discussion = new_markdown_cell(
        "The two terms are softplus(-real) and softplus(fake).", metadata={"tags": ["solution"]}
    )
    assert len(stripped(code(LOSS), discussion, repository=repository)) == 1


# Leaks -----------------------------------------------------------------------------------------------

SHOWN = "first = softplus(-real).mean()"


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell(f"Hint: write `{SHOWN}`."),
        code(f"if True:\n    {SHOWN}"),
        code("x = 1", hint=SHOWN.replace(" ", "")),
        new_markdown_cell("x", attachments={"a.txt": {"text/plain": SHOWN}}),
    ],
)
def test_a_solution_line_anywhere_aborts_and_leaves_the_old_copy(repository, cell):
    repository(code(LOSS))
    build.build(root=repository.root)
    copy = repository.root / "notebooks" / "exercises" / "01_demo.ipynb"
    before = copy.read_bytes()
    repository(code("y = 1"), name="00_other")
    repository(code(LOSS), cell)
    with pytest.raises(UserError, match=r"01_demo: the student copy would show the solution line 'first"):
        build.build(root=repository.root)
    assert copy.read_bytes() == before and len(list(copy.parent.iterdir())) == 1


def test_given_code_may_be_repeated(repository):
    given = code(f"def broken(real, fake):\n    {SHOWN}\n    return first", tags=["given"])
    assert len(stripped(given, code(LOSS), repository=repository)) == 2


def test_the_site_is_scanned_through_tags_entities_and_json(repository):
    repository(code(LOSS))
    site = repository.root / "site"
    site.mkdir()
    (site / "fine.html").write_text("<p>Nothing here but softplus.</p>")
    assert "none of them visible" in build.build(root=repository.root, site=site)
    for name, text in {
        "a.html": "<span>first</span> <span>=</span> <span>softplus</span>(<b>-</b>real)<i>.</i>mean()",
        "b.html": "return first&nbsp;+ softplus(fake).mean()".replace("&nbsp;", "&#32;"),
        "c.ipynb": '{"cells": [{"source": ["first = softplus", "(-real).mean()"]}]}',
        "_sources/d.txt": f"x\n    {SHOWN}\n",
    }.items():
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        with pytest.raises(UserError, match=rf"{name} shows a solution of 01_demo"):
            build.build(root=repository.root, site=site)
        path.unlink()
    (site / "a.html").write_text(SHOWN)
    (repository.root / "book" / "page.md").write_text(f"The course shows `{SHOWN}` itself.")
    build.build(root=repository.root, site=site)
    with pytest.raises(UserError, match="build the site first"):
        build.build(root=repository.root, site=repository.root / "nowhere")


def test_what_one_set_gives_is_no_secret_of_another(repository):
    repository(code(LOSS))
    site = repository.root / "site"
    site.mkdir()
    (site / "a.html").write_text(SHOWN)
    with pytest.raises(UserError, match="shows a solution of 01_demo"):
        build.build(root=repository.root, site=site)
    given = code(f"def broken(real, fake):\n    {SHOWN}\n    return first", tags=["given"])
    repository(given, name="02_other")
    assert "none of them visible" in build.build(root=repository.root, site=site)


def test_the_built_site_shows_no_solution():
    site = ROOT / "_build" / "html"
    if not (site / "index.html").is_file():
        pytest.skip("the site is not built")
    students = [build.student_copy(path) for path in SOURCES.values()]
    assert build.site_leaks(students, site, ROOT) == []


# The command -----------------------------------------------------------------------------------------


def test_check_names_copies_that_are_stale_missing_or_left_over(repository):
    path = repository(code(LOSS))
    folder = repository.root / "notebooks" / "exercises"
    for change in (lambda: None, lambda: (folder / "01_demo.ipynb").write_text("{}")):
        change()
        with pytest.raises(UserError, match=r"not what the sources give: 01_demo.ipynb"):
            build.build(root=repository.root, check=True)
    build.build(root=repository.root)
    build.build(root=repository.root, check=True)
    shutil.copy(path, folder / "09_gone.ipynb")
    with pytest.raises(UserError, match="09_gone.ipynb"):
        build.build(root=repository.root, check=True)
    build.build("01", root=repository.root, check=True)


def test_the_command_line_lists_and_explains(capsys):
    assert cli.main(["exercises", "list"]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in INDEX)
    assert cli.main(["exercises", "list", "game"]) == 0
    assert "game.d_loss" in capsys.readouterr().out
    for arguments, words in {
        ("list", "gaem"): "Did you mean 'game'?",
        ("build", "--check", "--only", "01_two_playrs"): "Did you mean '01_two_players'?",
        ("selftest", "--seeds", "0"): "at least one seed",
        ("selftest", "--set", "gaem"): "Did you mean 'game'?",
    }.items():
        assert cli.main(["exercises", *arguments]) == 1
        assert words in capsys.readouterr().err


def test_a_bare_wheel_says_that_a_checkout_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "__file__", str(tmp_path / "gancourse" / "checks" / "build.py"))
    with pytest.raises(UserError, match="needs a checkout"):
        build.build()


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    (tmp_path / "x.ipynb").write_text("junk")
    with pytest.raises(UserError, match=r"x\.ipynb is not a notebook"):
        build.read(tmp_path / "x.ipynb")


def test_execution_skips_training_cells_and_magics():
    notebook = new_notebook(cells=[code("%pip install x\na = 1"), code("1 / 0", tags=["training"]), code("check(a)")])
    assert build.execute(notebook, "x")["a"] == 1
    with pytest.raises(NameError):
        build.execute(notebook, "x", checks=True)
