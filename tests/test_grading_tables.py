"""What the grader writes: tables that are safe to open, a page for everybody, and points by hand that nothing loses."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import submissions as made
from test_grading import TASKS, arguments, command, environment

from gancourse import checks, cli, grading
from gancourse.checks import build
from gancourse.errors import UserError
from gancourse.grading import command as grading_command
from gancourse.grading import journal, reading, tables, worker
from gancourse.grading.byhand import ByHand
from gancourse.grading.submissions import collect
from gancourse.grading.tables import Row, Task

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading needs fork")

NONE = {"ok": False, "hint_id": "missing", "hint": "'why' is defined in no cell", "notes": [], "text": ""}


def text(words: str, least: int = 1) -> dict[str, object]:
    """Return the record of a text."""
    if not words:
        return NONE | {"hint_id": "not-done", "hint": "nothing is written yet"}
    if len(words.split()) < least:
        told = f"it has {len(words.split())} words; at least {least} are asked for"
        return NONE | {"hint_id": "too-short", "hint": told, "text": words}
    return NONE | {"ok": True, "hint_id": None, "hint": "", "text": words}


def student(name: str, number: str = "", words: str = "because it is so", least: int = 1) -> Row:
    """Return a row with one text."""
    return Row(name, number, [f"{name}.ipynb"], {"t.why": text(words, least)})


# Cells -----------------------------------------------------------------------------------------------

FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "−")


@pytest.mark.parametrize("sign", FORMULAS)
@pytest.mark.parametrize(
    "before", ["", " ", "\t", "\r\n", '"', "' ", "\u00a0", "a;", "a; ", 'a;"', "a|", "a;;", "a\n;"]
)
def test_no_cell_is_a_formula_wherever_a_spreadsheet_cuts_it(sign: str, before: str) -> None:
    name = f"{before}{sign}cmd|' /C calc'!A0"
    filled = Row(name, "", [name, "b.ipynb"], faults=[name], notes=[name])
    for form in tables.FORMATS:
        written = tables.table([filled], TASKS, form, name)
        for delimiter in ",;\t|":
            for line in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter):
                for each in line:
                    bare = each.strip(' \t\r\n"\u00a0')
                    assert not bare.startswith(FORMULAS) or bare == "-", (form, delimiter, each)


def test_ordinary_text_is_left_as_it_is() -> None:
    for each in ("O'Brien-Smith, Zoë", "it gives [1, -2], expected 3 (for a; b)", "a-b_c+d=e.ipynb", "李雷"):
        assert tables.cell(each) == each


# Pages -----------------------------------------------------------------------------------------------


def test_everybody_gets_a_page_whatever_a_file_is_called(tmp_path: Path) -> None:
    """Names of files that a disk takes, and numbers that are none."""
    rows = [
        Row("doeeve", "1" * 300, ["a"]),
        Row("x" * 250, "12", ["a"]),
        Row("李", "7", ["a"]),
        Row("王", "7", ["a"]),
        Row("Ann", "8", ["a"]),
        Row("ann", "8", ["a"]),
        Row("..", "../../9", ["a"]),
        Row("", "", ["a"]),
    ]
    names = [name for name, _ in tables.pages(rows)]
    assert len({name.lower() for name in names}) == len(rows)
    for name in names:
        assert len(name) < 120 and Path(name).name == name
        (tmp_path / name).write_text("")


def test_a_page_says_how_long_a_text_should_be_and_by_what_it_is_judged() -> None:
    tasks = (Task("t.half", "Half", 3, "value"), Task("t.why", "Why", 5, "text", "why", "2 points: names σ(a)."))
    short = student("ann", words="No idea.", least=50)
    short.best["t.half"] = NONE | {"hint_id": "not-done", "hint": "Your turn: a number"}
    page = tables.feedback(short, tasks, "HW 1")
    assert "it has 2 words; at least 50 are asked for" in page and "> No idea." in page
    assert "**Rubric, 5 points:** 2 points: names σ(a)." in page
    assert "Your turn" not in page and "| t.half | 0 of 3 | ❌ nothing is written yet |" in page
    for form, said in (("plain", "too short"), ("moodle", "it has 2 words; at least 50 are asked for")):
        assert said in tables.table([short], tasks, form, "HW 1")
    blank = tables.feedback(student("ann", words=""), tasks, "HW 1")
    assert "| t.why | – of 5 | ❌ nothing is written |" in blank and "Rubric" not in blank


def test_of_several_files_the_one_with_more_in_it_counts() -> None:
    filled = Row("ann", "", ["a.ipynb", "b.ipynb", "c.ipynb"])
    for words, file in (("No idea.", "a.ipynb"), ("", "b.ipynb")):
        tables.combine(filled, {"exercises": {"t.why": text(words, 50)}}, file)
    tables.combine(filled, {"exercises": {"t.why": NONE}}, "c.ipynb")
    assert filled.best["t.why"]["text"] == "No idea."


# Points by hand --------------------------------------------------------------------------------------


def write(path: Path, rows: list[Row], form: str = "plain") -> ByHand:
    """Write a table as the command does, and return what it knows then."""
    byhand = ByHand(path)
    byhand.fill(rows, TASKS)
    written = tables.table(rows, TASKS, form, "HW")
    path.write_text(written, encoding="utf-8", newline="")
    byhand.remember(rows, TASKS, written)
    return byhand


def edit(path: Path, points: dict[str, str], change: Callable[[str], str] = lambda text: text) -> None:
    """Write points into a table, as a person does with a spreadsheet."""
    lines = list(csv.reader(path.open(encoding="utf-8", newline="")))
    place = lines[0].index("t.why (by hand)")
    for line in lines[1:]:
        line[place] = points.get(line[0], line[place])
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    path.write_text(change(text.getvalue()), encoding="utf-8", newline="")


def given(rows: list[Row]) -> dict[str, float]:
    return {each.student: each.given["t.why"] for each in rows if each.given}


def class_() -> list[Row]:
    return [student("ann", "1"), student("bob", "2"), student("=carl", "3"), student("dora", "4", "")]


def test_points_by_hand_outlive_a_regrade_and_reach_the_other_forms(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "3", "bob": "2,5", "'=carl": "0"})
    rows = class_()
    byhand = write(path, rows)
    assert byhand.taken == 3 and byhand.kept and "2,5" in byhand.kept.read_text()
    assert given(rows) == {"ann": 3, "bob": 2.5, "=carl": 0}
    table = list(csv.DictReader(path.open(encoding="utf-8")))
    assert [line["t.why (by hand)"] for line in table] == ["3", "2.5", "0", "missing"]
    assert [(line["Points"], line["Of"]) for line in table] == [("3", "10"), ("2.5", "10"), ("0", "10"), ("0", "10")]
    for form in ("canvas", "moodle", "canvas"):
        rows = class_()
        write(path, rows, form)
        assert given(rows) == {"ann": 3, "bob": 2.5, "=carl": 0}
    canvas = list(csv.reader(path.open(encoding="utf-8")))
    assert [line[-1] for line in canvas[1:]] == ["10", "3", "2.5", "0", "0"]
    moodle = tables.table(rows, TASKS, "moodle", "HW")
    assert "t.why: 2.5 of 5" in moodle and "t.why: missing" in moodle
    assert "**2.5 of 5** for what was read" in tables.feedback(rows[1], TASKS, "HW")
    path.unlink()
    assert given_after(path) == {"ann": 3, "bob": 2.5, "=carl": 0}, "the table may be gone, the points are not"
    assert not list(tmp_path.glob("*.old-2")), "what nobody has changed is not copied"


def given_after(path: Path) -> dict[str, float]:
    rows = class_()
    write(path, rows)
    return given(rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: "\ufeff" + text,
        lambda text: "\r\n".join(["Section," + text.splitlines()[0], *("x," + line for line in text.splitlines()[1:])]),
        lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]),
        lambda text: re.sub(r",(\d),", r",\1.0,", text, count=1),
        lambda text: text.replace("bob,2,", "bob,2.00E+00,"),
    ],
)
def test_points_are_read_from_what_a_spreadsheet_makes_of_the_table(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "3", "bob": "2"}, change)
    assert given_after(path) == {"ann": 3, "bob": 2}


def test_what_is_taken_back_is_gone_and_what_is_elsewhere_stays(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "3", "bob": "2", "dora": "1"})
    some = class_()[:2]
    byhand = write(path, some)
    assert given(some) == {"ann": 3, "bob": 2} and byhand.absent(some) == 1
    edit(path, {"ann": "written"})
    assert given_after(path) == {"bob": 2, "dora": 1}


def test_a_text_that_changed_after_it_was_read_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "3", "bob": "2"})
    rows = [student("ann", "1", "something else entirely"), student("bob", "2")]
    write(path, rows)
    assert given(rows) == {"ann": 3, "bob": 2}
    assert rows[0].notes == ["t.why: the text has changed since its points were given"] and not rows[1].notes
    edit(path, {"ann": "4"})
    rows = [student("ann", "1", "something else entirely"), student("bob", "2")]
    write(path, rows)
    assert given(rows) == {"ann": 4, "bob": 2} and not rows[0].notes


def test_points_follow_a_number_and_never_go_to_a_namesake(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, [student("Jane Doe", "1"), student("Jim Poe", "2")])
    edit(path, {"Jane Doe": "3", "Jim Poe": "2"})
    rows = [student("Jane Doe-Smith", "1"), student("Jim Poe", "7")]
    byhand = write(path, rows)
    assert given(rows) == {"Jane Doe-Smith": 3} and byhand.absent(rows) == 1


@pytest.mark.parametrize("cell", ["three", "-1", "3/4", "nan", "inf", "1e999", "3 (late)"])
def test_a_cell_that_is_no_number_is_told_and_nothing_is_overwritten(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"bob": cell})
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(UserError, match=re.escape(f"t.why of bob has {cell!r}")):
        ByHand(path)
    assert before == {each: each.read_bytes() for each in tmp_path.iterdir()}


@pytest.mark.parametrize("data", [b"PK\x03\x04 a spreadsheet", b"my,own,file\n1,2,3\n", b"\xff\xfe", b"a" * 200_000])
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match="not overwritten"):
        ByHand(path)
    assert path.read_bytes() == data


def test_a_table_that_changes_while_grading_goes_on_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    byhand = ByHand(path)
    edit(path, {"ann": "3"})
    byhand.look()
    rows = class_()
    byhand.fill(rows, TASKS)
    assert given(rows) == {"ann": 3} and byhand.kept


def test_more_points_than_there_are_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "7"})
    rows = class_()
    write(path, rows)
    assert rows[0].notes == ["t.why: 7 points, of 5"] and tables.points(rows[0], TASKS) == 7


# The command, as the pages tell it -------------------------------------------------------------------


def grade(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a grading in a process of its own."""
    return subprocess.run(
        command(*words, "--weak-isolation", "--wall", "120"), env=environment(), capture_output=True, text=True
    )


def hand_in(folder: Path) -> None:
    """Write a class: everything right, a text too short, the blank copy, the wrong set, and odd names."""
    folder.mkdir(mode=0o700)
    for number, (name, kind) in enumerate(
        (
            ("annx_101_9001_hw.ipynb", "right"),
            ("boby_102_9002_bobsmith_101_9001_hw.ipynb", "short text"),
            ("carl_103_9003_x_101_assignsubmission_file_.ipynb", "blank"),
            ("dora_LATE_104_9004_;=cmd().ipynb", "wrong set"),
            (f"evee_105_9005_{'9' * 200}.ipynb", "warns"),
            ("fred_106_9006_empty.ipynb", "no bytes"),
        )
    ):
        (folder / name).write_bytes(made.make(kind, number).data)
    (folder / "gina_107_9007_hw.pdf").write_bytes(b"%PDF")


def test_a_class_from_the_hand_in_to_the_gradebook(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    folder, out, pages = tmp_path / "in", tmp_path / "out" / "game.csv", tmp_path / "pages"
    hand_in(folder)
    words = [str(folder), "--set", "01", "--out", str(out), "--feedback", str(pages)]
    done = grade(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "what an answer makes PyTorch warn of is nothing for the instructor"
    table = {line["Student"]: line for line in csv.DictReader(out.open(encoding="utf-8"))}
    assert {name: line["ID"] for name, line in table.items()} == {
        name: str(101 + place) for place, name in enumerate(("annx", "boby", "carl", "dora", "evee", "fred", "gina"))
    }
    (title,) = (title for title in table["annx"] if title.endswith("(by hand)"))
    assert [line[title] for line in table.values()] == ["written", "too short"] + ["missing"] * 2 + ["written"] + [
        "missing"
    ] * 2
    assert "names cgan" in table["dora"]["Notes"] and "empty" in table["fred"]["Faults"]
    assert "no notebook" in table["gina"]["Faults"]
    written = {page.name: page.read_text(encoding="utf-8") for page in pages.iterdir()}
    assert len(written) == 7
    exercise = title.removesuffix(" (by hand)")
    rubric = checks.exercise(exercise).rubric
    assert rubric in written["annx-101.md"] and rubric in written["boby-102.md"]
    assert re.search(r"it has 2 words; at least \d+ are asked for", written["boby-102.md"])
    assert "Your turn" not in written["carl-103.md"] and "nothing is written yet" in written["carl-103.md"]

    lines = list(csv.reader(out.open(encoding="utf-8", newline="")))
    for line, points in zip(lines[1:3], ("2", "1"), strict=True):
        line[lines[0].index(title)] = points
    with out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    (folder / "hans_108_9008_hw.ipynb").write_bytes(made.make("right", 77).data)
    again = grade(*words, "--format", "canvas", "--assignment", "HW 1 (77)")
    assert again.returncode == 0 and "the points of 2 texts are taken over" in again.stdout, again.stderr
    canvas = {line[0]: line[-1] for line in csv.reader(out.open(encoding="utf-8"))}
    assert int(canvas["annx"]) == int(table["annx"]["Points"]) + 2
    assert int(canvas["boby"]) == int(table["boby"]["Points"]) + 1
    assert int(canvas["Points Possible"]) == int(table["annx"]["Of"]) + checks.exercise(exercise).points
    assert "hans" in canvas and "2 written" in again.stdout


#: A comparing process without PyTorch: all answers are missing, and it knows when a file is another one than was asked.
UNKNOWING = """
import hashlib, json, sys
def say(**record): print(json.dumps(record), flush=True)
sys.stdin.readline()
task = dict(name="lsgan.d_loss", title="", points=2, kind="function", answer="lsgan_d_loss", rubric="")
say(exercises=[task], in_force=["user"], seen=dict(user=1, readable=[], writable=[]))
for line in sys.stdin:
    request = json.loads(line)
    say(starts="lsgan.d_loss")
    say(exercise="lsgan.d_loss", ok=False, hint_id="missing", hint="it is not there", notes=[], text="")
    say(done=True)
"""


def test_a_set_that_nobody_names_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grading_command.Worker, "program", ("-c", UNKNOWING))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_bytes(made.make("right", 1).data)
    grading.run(arguments(str(tmp_path / "in"), "--set", "07_lsgan", "--out", str(tmp_path / "g.csv")))
    said = capsys.readouterr().out
    assert "WARNING: no notebook names the set lsgan; they name game (1). Is it the right --set?" in said
    assert "WARNING: no notebook defines any of the names that lsgan asks for: lsgan_d_loss" in said
    (line,) = csv.DictReader((tmp_path / "g.csv").open(encoding="utf-8"))
    assert line["Points"] == "0" and "the file names game" in line["Notes"]


def test_rows_with_one_number_are_flagged_before_and_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grading_command.Worker, "program", ("-c", UNKNOWING))
    (tmp_path / "in").mkdir()
    for name in ("Jane Doe_1", "Jane Roe_1", "Jim Poe_2"):
        path = tmp_path / "in" / f"{name}_assignsubmission_file_hw.ipynb"
        path.write_bytes(made.make("right", len(name)).data)
    grading.run(arguments(str(tmp_path / "in"), "--set", "lsgan", "--out", str(tmp_path / "g.csv")))
    assert "WARNING: 2 rows have the number 1: Jane Doe, Jane Roe" in capsys.readouterr().out
    notes = {line["Student"]: line["Notes"] for line in csv.DictReader((tmp_path / "g.csv").open(encoding="utf-8"))}
    assert "Jane Roe has the number 1 too" in notes["Jane Doe"] and "number" not in notes["Jim Poe"]


def test_a_table_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_bytes(made.make("right", 1).data)
    for out in ("/proc/none/g.csv", "/dev/null/g.csv", str(tmp_path / ("x" * 300))):
        with pytest.raises(UserError):
            grading.run(arguments(str(tmp_path / "in"), "--set", "game", "--out", out))


@pytest.mark.parametrize(("given", "meant"), [("game", "game"), ("06", "cgan"), ("6", "cgan"), ("07_lsgan", "lsgan")])
def test_a_set_may_be_named_by_its_chapter(given: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.sets.word(given) == meant
    assert cli.main(["exercises", "list", given]) == 0 and f"{meant}." in capsys.readouterr().out
    assert [path.stem for path in build.sources(made.ROOT, given)] == [checks.INDEX[meant][0]]
    with pytest.raises(UserError, match="Did you mean 'game'"):
        checks.sets.word("gam")


# What goes wrong -------------------------------------------------------------------------------------


def test_an_archive_of_empty_files_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hw.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_000):
            archive.writestr(f"s{number}_{number + 1}_{number + 20_000}_hw.ipynb", "")
        for number in range(100):
            archive.writestr(f"{number}.txt", "")
    found = collect(path, tmp_path)
    assert len(found.students()) == 10_000 and not any(s.digest for s in found.submissions)
    grading_command._say_found(found)
    said = capsys.readouterr().out
    assert "10,000 of 10,000 files are empty" in said and "skipped: 80 more" in said and len(said.splitlines()) < 30
    with pytest.raises(UserError, match="10,000 files, 10,000 of them empty"):
        grading_command.choose_sets(found)
    rows = [Row(student, number, ["a"], faults=["it is empty"]) for number, student in found.students()]
    assert len({name for name, _ in tables.pages(rows)}) == 10_000


class NoSandbox:
    """A grader that has nothing to grade."""

    exercises: tuple[()] = ()

    def read(self, path: str, exercises: object) -> reading.Reading:
        return reading.Reading({})


def ask(monkeypatch: pytest.MonkeyPatch, **request: object) -> list[dict[str, object]]:
    """Return what the comparing process replies to a request."""
    replies = io.StringIO()
    monkeypatch.setattr(worker, "_replies", replies)
    monkeypatch.setattr(worker, "allow", lambda seconds: None)  # its limit of processor time would end the tests
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"skip": [], "words": []} | request) + "\n"))
    worker.serve(NoSandbox())  # type: ignore[arg-type]
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_a_hand_in_that_changes_is_not_taken_for_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(made.make("right", 1).data)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert ask(monkeypatch, file=str(path), digest=digest) == [{"faults": []}, {"done": True}]
    changed = {"faults": [worker.CHANGED], "unreadable": True, "changed": True, "done": True}
    path.write_bytes(made.make("right", 2).data)
    assert ask(monkeypatch, file=str(path), digest=digest) == [changed]
    path.unlink()
    assert ask(monkeypatch, file=str(path), digest=digest) == [changed]


def test_a_hand_in_that_changed_has_a_row_and_is_graded_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = 'say(faults=["another file"], unreadable=True, changed=True, done=True)'
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.ipynb").write_bytes(made.make("right", ord(name)).data)
    words = arguments(str(tmp_path / "in"), "--set", "lsgan", "--out", str(tmp_path / "g.csv"))
    changing = UNKNOWING.replace("say(starts=", f"{said}; continue; say(x=")
    for program, faults, kept in ((changing, "another file", 0), (UNKNOWING, "", 2)):
        monkeypatch.setattr(grading_command.Worker, "program", ("-c", program))
        grading.run(words)
        table = list(csv.DictReader((tmp_path / "g.csv").open(encoding="utf-8")))
        assert [(line["Student"], line["Faults"]) for line in table] == [("a", faults), ("b", faults)]
        assert len((tmp_path / "g.csv.journal").read_text().splitlines()) == 1 + kept


def test_a_full_disk_overwrites_nothing_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.csv"
    write(path, class_())
    edit(path, {"ann": "3"})
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        journal.write_whole(path, "half a table")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before, "nothing half written is left"
    monkeypatch.setattr(grading_command, "_run", full)
    with pytest.raises(UserError, match="The disk is full .* call the command again"):
        grading.run(arguments("in", "--out", str(path)))


#: Grades with the table on a file system of a few pages.
ON_A_FULL_DISK = """
import sys
from pathlib import Path
import test_grading as t
from gancourse.grading import isolation
out = Path(sys.argv[2])
isolation.unshare(isolation.NEWNS)
isolation.mount("none", "/", None, isolation.MS_REC | isolation.MS_PRIVATE)
isolation.mount("tmpfs", str(out), "tmpfs", 0, "size=12k,mode=0700")
(out / "g.csv").write_text("Student,ID,Points\\nann,1,2\\n")
try:
    t.grading.run(t.arguments(sys.argv[1], "--set", "game", "--out", str(out / "g.csv"), "--weak-isolation"))
except t.UserError as error:
    print("told:", error)
print("table:", (out / "g.csv").read_text())
print("left:", sorted(path.name for path in out.iterdir()))
"""


def test_a_table_on_a_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, which can make a small disk")
    tmp_path.chmod(0o700)
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / "in" / f"s{number}.ipynb").write_bytes(made.make("right", number).data)
    program = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path / "in"), str(tmp_path / "out")]
    done = subprocess.run(program, env=environment(), capture_output=True, text=True)
    if "PermissionError" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this system lets nobody make a disk")
    assert "told: The disk is full" in done.stdout and "Traceback" not in done.stderr, done
    assert "table: Student,ID,Points\nann,1,2" in done.stdout and ".part" not in done.stdout
