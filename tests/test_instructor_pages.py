"""The instructor pages: their commands parse, their example of an exercise runs, and they name what exists."""

import inspect
import json
import re
import shlex
import shutil
import sys
import types

import bench_checks
import chapters
import colab
import nbformat
import pytest
import torch
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_pages import blocks, check_gancourse
from torch.nn.functional import softplus

from gancourse import checks, cli
from gancourse.checks import build, selftest
from gancourse.checks.sets import INDEX
from gancourse.errors import UserError
from gancourse.grading import journal, names, tables

FOLDER = ROOT / "book" / "instructors"
PAGES = sorted(FOLDER.glob("*.md"))
EXAMPLE = "relativistic"


def page(name):
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def captioned(name, caption):
    """Return the one code block of a page whose caption begins with this."""
    found = re.findall(r"^```\{code-block\} \w+\n:caption: ([^\n]*)\n\n(.*?)^```$", page(name), re.M | re.S)
    (code,) = [code for text, code in found if text.startswith(caption)]
    return code


# Commands and links ----------------------------------------------------------------------------------


def commands(path):
    """Return the `gancourse` commands of a page, as words."""
    lines = "\n".join(blocks(path.read_text(encoding="utf-8"), "console")).splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in found if words[:1] == ["gancourse"]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_parse_and_name_what_exists(path):
    for words in commands(path):
        check_gancourse(words)
        given = vars(cli.build_parser().parse_args(words))
        if given["command"] == "exercises":
            assert given.get("set") in {None, EXAMPLE, *INDEX}, words
            assert given.get("only") in {None, "90", *(chapter[:2] for chapter, _ in INDEX.values())}, words


def options(command):
    """Return the options of `gancourse exercises COMMAND`, each with its default."""
    parser = cli.build_parser()
    for name in ("exercises", command):
        (action,) = [action for action in parser._actions if isinstance(action.choices, dict)]
        parser = action.choices[name]
    return {option: action.default for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_options_in_the_text_belong_to_a_command(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    known = {option for name in ("list", "build", "selftest", "export", "grade") for option in options(name)}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known


def test_every_option_of_the_grader_is_explained():
    named = set(re.findall(r"(--[a-z-]+)", page("grade")))
    assert set(options("grade")) - {"-h", "--help"} <= named
    wall, memory = options("grade")["--wall"], options("grade")["--memory"]
    assert f"{wall:g} seconds and {memory} MB if you say nothing" in page("grade")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_files_behind_roles_exist_and_nothing_is_left_open(path):
    text = path.read_text(encoding="utf-8")
    for role, body in re.findall(r"\{(source|colab)\}`([^`]+)`", text):
        target = re.sub(r"^.*<(.*)>$", r"\1", body, flags=re.S)
        assert (ROOT / (target + ".ipynb" * (role == "colab"))).exists(), f"{path.name}: {target}"
    assert "TODO" not in text
    assert re.match(r'---\nmyst:\n  html_meta:\n    description: "[^"]{60,300}"\n---\n# ', text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_python_on_a_page_runs(path, capsys):
    for code in blocks(path.read_text(encoding="utf-8"), "python"):
        exec(compile(code, path.name, "exec"), {})
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("chapter", [chapter for chapter, _ in INDEX.values()])
def test_the_pages_show_no_solution_line(chapter):
    student = build.student_copy(ROOT / "notebooks" / "solutions" / f"{chapter}.ipynb")
    assert build.leaks(student, [path.read_text(encoding="utf-8") for path in PAGES]) == []


def test_the_wheel_s_address_is_the_site_s():
    wheels = re.findall(r"https://\S+\.whl", page("assign"))
    assert set(wheels) == {colab.wheel_url(chapters.config(), chapters.version())}


# The syllabus ----------------------------------------------------------------------------------------


def test_the_syllabus_links_every_chapter_and_names_every_set():
    text = page("syllabus")
    linked = set(re.findall(r"\(\.\./\.\./notebooks/(\w+)\.ipynb\)", text))
    assert linked == {path.stem for path in chapters.chapters()}
    for word in INDEX:
        assert f"`{word}`" in text, f"the syllabus does not say when to hand in the set {word}"


def test_what_is_to_come_is_not_there_yet():
    """A chapter that exists is linked, and no longer said to come."""
    there = {int(path.stem[:2]) for path in chapters.chapters()}
    coming = [int(number) for number in re.findall(r"\((\d+), to come\)", page("syllabus"))]
    assert coming and len(set(coming)) == len(coming) and not there & set(coming)


def test_every_set_has_a_link_to_its_student_copy():
    linked = re.findall(r"\{colab\}`[^`<]*<notebooks/exercises/(\w+)>`", page("assign"))
    assert sorted(linked) == sorted(chapter for chapter, _ in INDEX.values())


def row_besides_code(word):
    """Return what the table of grade.md says of a set."""
    exercises = checks.load_set(word).exercises
    parts = []
    for tier, verb in (("predict", "predict"), ("investigate", "investigate")):
        titles = [e.title for e in exercises if e.tier == tier]
        parts += [f"*{verb}:* {'; '.join(titles)}"] if titles else []
    return f"| `{word}` | {' · '.join(parts)} |"


@pytest.mark.parametrize("word", INDEX)
def test_the_table_says_what_a_set_asks_besides_code(word):
    row = row_besides_code(word)
    assert row in page("grade").splitlines(), f"book/instructors/grade.md needs the row\n{row}"


# The example of an exercise --------------------------------------------------------------------------


def notebook_of(text):
    """Return the notebook that stands on the page in the percent format."""
    cells = []
    for part in re.split(r"^# %%", text, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            cells.append(new_markdown_cell(re.sub(r"^# ?", "", body.strip(), flags=re.M)))
        else:
            cells.append(new_code_cell(body.strip()))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=cells)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """A checkout that holds the page's example and nothing else; the package knows its set."""
    for folder in ("notebooks/solutions", "tests/mutants", "book", "gancourse"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "mutants" / "__init__.py", tmp_path / "tests" / "mutants")
    name = "write_an_exercise"
    mutants = captioned(name, f"tests/mutants/{EXAMPLE}.py")
    (tmp_path / "tests" / "mutants" / f"{EXAMPLE}.py").write_text(mutants, encoding="utf-8")
    notebook = notebook_of(captioned(name, "notebooks/solutions/90_relativistic.ipynb"))
    nbformat.write(notebook, tmp_path / "notebooks" / "solutions" / "90_relativistic.ipynb")

    code = captioned(name, f"gancourse/checks/sets/{EXAMPLE}.py")
    module = types.ModuleType(f"gancourse.checks.sets.{EXAMPLE}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, f"{EXAMPLE}.py", "exec"), module.__dict__)
    entry = eval("{" + captioned(name, "gancourse/checks/sets/__init__.py").strip() + "}")
    for word, place in entry.items():
        monkeypatch.setitem(INDEX, word, place)
    monkeypatch.setattr(checks, "_checked", {})
    forgotten = [known for known in sys.modules if known.split(".")[0] == "gancourse_mutants"]
    for known in forgotten:
        monkeypatch.delitem(sys.modules, known)
    yield tmp_path
    for known in [known for known in sys.modules if known.split(".")[0] == "gancourse_mutants"]:
        del sys.modules[known]


def without_times(text):
    """Return a self-test's table without milliseconds and seconds."""
    return re.sub(r" +\d+\.\d$|, \d+ s$", "", text.strip(), flags=re.M)


def test_the_example_passes_its_self_test_as_printed(example, capsys):
    selftest.selftest(EXAMPLE, root=example)
    assert without_times(capsys.readouterr().out) == without_times(captioned("write_an_exercise", "prints"))


def test_the_example_s_student_copy_fails_and_its_solution_passes(example, capsys):
    build.build(root=example)
    exercises = checks.load_set(EXAMPLE).exercises
    for folder, mark in (("exercises", "❌"), ("solutions", "✅")):
        notebook = build.read(example / "notebooks" / folder / "90_relativistic.ipynb")
        capsys.readouterr()
        build.execute(notebook, "example", checks=True)
        lines = [line for line in capsys.readouterr().out.splitlines() if re.match("[✅❌]", line)]
        assert [line[:1] for line in lines] == [mark] * len(exercises)
    student = (example / "notebooks" / "exercises" / "90_relativistic.ipynb").read_text("utf-8")
    assert "Your turn: one comparison for each pair" in student and "loss_at_equilibrium = None" in student
    assert "margin_of" not in student and "# BEGIN SOLUTION" not in student


def test_the_example_says_what_the_page_quotes(example, capsys):
    mutants = selftest.answers(example, EXAMPLE)[f"{EXAMPLE}.d_loss"]
    (answer,) = [answer for name, _, answer in mutants.refused if name == "broadcasts"]
    checks.check(f"{EXAMPLE}.d_loss", answer)
    assert capsys.readouterr().out == captioned("write_an_exercise", 'check("relativistic.d_loss", broadcasts)')


def test_an_exercise_without_mutants_is_refused(example, capsys):
    """The messages on the page are what the self-test says when mutants are missing, too few, or get another hint."""
    missing, few, another = captioned("write_an_exercise", "messages").splitlines()
    path = example / "tests" / "mutants" / f"{EXAMPLE}.py"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    with pytest.raises(UserError) as caught:
        selftest.selftest(EXAMPLE, seeds=1, root=example)
    assert str(caught.value).replace(f"{example}/", "") == missing

    (exercise,) = [e for e in checks.load_set(EXAMPLE).exercises if e.name == f"{EXAMPLE}.d_loss"]
    del exercise.judge.misconceptions["all-pairs"]
    object.__setattr__(exercise.judge, "examples", [e for e in exercise.judge.examples if e[1] != "all-pairs"])
    path.write_text(re.sub(r'(?ms)^@d_loss\.wrong\("(?!all-pairs).*?\n\n\n(?=@|at_)', "", text), encoding="utf-8")
    with pytest.raises(UserError, match="found 2 faults"):
        selftest.selftest(EXAMPLE, seeds=1, root=example)
    printed = capsys.readouterr().out.splitlines()
    assert few in printed
    pattern = re.escape(another).replace("…", ".*")
    assert any(re.fullmatch(pattern, line) for line in printed), printed


def test_numbers_of_the_page_are_the_self_test_s():
    text = page("write_an_exercise")
    words = {3: "three", 6: "six", 20: "twenty"}
    assert f"needs {words[selftest.WRONG_AT_LEAST['function']]} mutants" in text
    assert f"{words[selftest.OWN_WORDS_AT_LEAST['function']]} of them in this file" in text
    assert f"{words[selftest.RIGHT_AT_LEAST['function']]} right answers besides the solution" in " ".join(text.split())
    assert f"must pass on {words[selftest.SEEDS]} seeds" in text
    assert f"below {bench_checks.MILLISECONDS:.0f} milliseconds" in text
    assert f"one that trains below {bench_checks.MILLISECONDS_TRAINING / 1000:.0f} seconds" in text


def test_names_of_the_page_exist():
    from gancourse.checks import builders, core, forms, probes

    text = page("write_an_exercise")
    section = text.split("## More kinds of exercise")[1].split("\n## ")[0]
    assert {"linear", "optimizer", "mixture", "mlp", "layers"} <= set(builders.BUILDERS)
    assert {"module"} <= set(probes.PROBES) and {"changes", "grads"} <= set(core.Case.__dataclass_fields__)
    found = set(re.findall(r"`(right|wrong|When|Spec|RightBut|Places)\(", section))
    assert len(found) == 6 and all(hasattr(core, name) or hasattr(forms, name) for name in found)
    assert {"where", "values", "margin"} <= set(inspect.signature(forms.function).parameters)


def test_numbers_in_the_example_s_solution():
    """0.261 before and after, 0.864 before and 9.750 after adding 10."""
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.0])
    compared, alone = [], []
    for constant in (0, 10):
        a, b = real + constant, fake + constant
        compared.append(f"{softplus(b - a).mean():.3f}")
        alone.append(f"{softplus(-a).mean() + softplus(b).mean():.3f}")
    text = " ".join(page("write_an_exercise").split())
    assert f"it is {compared[0]}, before and after adding 10" in text and compared[0] == compared[1]
    assert f"rises from {alone[0]} to {alone[1]}" in text


# What the grader writes ------------------------------------------------------------------------------


@pytest.fixture
def graded(example):
    """The three students of grade.md and the exercises of the example."""
    exercises = checks.load_set(EXAMPLE).exercises
    tasks = [tables.Task(e.name, e.title, e.points, e.kind) for e in exercises]
    hint = exercises[0].judge.misconceptions["all-pairs"][1]

    def record(hint_id=None, text=""):
        return {"ok": hint_id is None, "hint_id": hint_id, "hint": text, "notes": [], "text": ""}

    found = [[record()] * 3, [record("all-pairs", hint), record(), record("not-done", "nothing is written yet")], []]
    faults = [[], [], ["it is not JSON (Expecting value: line 1 column 1 (char 0))"]]
    files = ["studentone_101_9001_90_relativistic", "studenttwo_LATE_102_9002_90_relativistic"]
    rows = []
    for file, records, fault in zip([*files, "studentthree_103_9003_Untitled"], found, faults, strict=True):
        student, number, convention = names.whose(f"{file}.ipynb")
        assert convention == "canvas"
        best = {task.name: record for task, record in zip(tasks, records, strict=False)}
        rows.append(tables.Row(student, number, [f"{file}.ipynb"], best, fault))
    return rows, tasks


@pytest.mark.parametrize("form", tables.FORMATS)
def test_the_tables_on_the_page_are_the_grader_s(form, graded):
    assert tables.table(*graded, form, "Set 90").replace("\r\n", "\n") == captioned("grade", f"{form}.csv")


def test_the_feedback_on_the_page_is_the_grader_s(graded):
    rows, tasks = graded
    name = tables.file_name(rows[1])
    assert tables.feedback(rows[1], tasks, "Set 90").strip() == captioned("grade", name).strip()


def test_the_journal_begins_with_the_seed(tmp_path):
    with journal.Journal(tmp_path / "game.csv.journal", {}, 7):
        pass
    assert json.loads((tmp_path / "game.csv.journal").read_text().splitlines()[0])["seed"] == 7


@pytest.mark.parametrize("path", ["studentone_101_9001_a.ipynb", "First Last_12345_assignsubmission_file_/a.ipynb"])
def test_the_names_that_an_lms_gives_are_understood(path):
    student, number, convention = names.whose(path)
    assert student and number and convention in ("canvas", "moodle")
    assert names.whose("lastfirst_12345_67890_name.ipynb")[:2] == ("lastfirst", "12345")
