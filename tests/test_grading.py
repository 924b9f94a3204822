"""The grader: what it finds, what it survives, what it stops. The 1,000 submissions are in `tests/grade_many.py`."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import submissions as made

from gancourse import checks, grading
from gancourse.checks.core import Case, Exercise, Set, compare, written
from gancourse.errors import UserError
from gancourse.grading import isolation, notebooks, sandbox, tables, worker
from gancourse.grading.command import REFERENCES, Grading, Worker
from gancourse.grading.isolation import Limits
from gancourse.grading.journal import Journal
from gancourse.grading.sandbox import Sandbox
from gancourse.grading.submissions import Submission, collect

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading needs fork")
LIMITS = Limits(wall=120.0, cpu=60, memory=300 * 2**20)
"""For answers that end by themselves: a busy machine must not decide a test."""

SHORT = Limits(wall=3.0, cpu=3, memory=300 * 2**20)
"""For those that do not, or that deserve nothing however they end."""

UID = (isolation.free_users(1) or [None])[0] if hasattr(os, "geteuid") and os.geteuid() == 0 else None

#: A clean parent where the system gives no namespaces.
WITHOUT_NAMESPACES = (
    "-c",
    "from gancourse.grading import isolation, zygote\n"
    "def refuse(flags): raise OSError('refused by a test')\n"
    "isolation.unshare = refuse\nzygote.main()",
)


def cells(*sources: str) -> notebooks.Notebook:
    """Return a notebook of these code cells, as the grader reads it."""
    plain = {"cells": [{"cell_type": "code", "source": source} for source in sources]}
    return notebooks.read(json.dumps(plain).encode())


def pieces(found: notebooks.Answer | str) -> list[str]:
    """Return the code that was found, piece by piece."""
    assert isinstance(found, notebooks.Answer), found
    return [source.strip() for source, _ in found.code]


# Finding answers -------------------------------------------------------------------------------------


def test_helpers_imports_and_constants_are_followed_by_name() -> None:
    book = cells(
        "%pip install nothing\nimport math, torch\nfrom torch import nn",
        "SCALE = 2\ndef helper(x): return other(x) * SCALE",
        "unused = nn.Linear(2, 3)\nfor step in range(10**9): pass",
        "def other(x): return math.sqrt(x)",
        "!ls\ndef answer(a):\n    scale = [helper(each) for each in a]\n    return scale",
    )
    found = notebooks.find(book, "answer")
    assert [piece.split("\n")[0] for piece in pieces(found)] == [
        "import math, torch",
        "SCALE = 2",
        "def helper(x): return other(x) * SCALE",
        "def other(x): return math.sqrt(x)",
        "def answer(a):",
    ]
    assert isinstance(found, notebooks.Answer) and not found.missing


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("n = 5", "answer = n * 2", "n = 100"), ["n = 5", "answer = n * 2"]),
        (("def h(): return n", "n = 5", "answer = h()", "n = 6"), ["def h(): return n", "n = 5", "answer = h()"]),
        (("answer = 3", "answer = answer + 1"), ["answer = 3", "answer = answer + 1"]),
        (("answer = h()", "def h(): return 3"), ["def h(): return 3", "answer = h()"]),
        (("c = {}; c['a'] = 1", "def answer(): return c"), ["c = {}", "c['a'] = 1", "def answer(): return c"]),
        (("def answer(): return 1", "def answer(): return 2"), ["def answer(): return 2"]),
        (("from math import *", "def answer(): return pi"), ["from math import *", "def answer(): return pi"]),
        (("x = !ls\nanswer = x",), ["x = None", "answer = x"]),
        (("%%bash\nanswer = 1", "answer = 2"), ["answer = 2"]),
        (("try:\n    import a\nexcept ImportError:\n    a = 0", "answer = a"), None),
    ],
)
def test_a_name_is_what_a_run_from_top_to_bottom_makes_it(sources: tuple[str, ...], expected: list[str] | None) -> None:
    found = pieces(notebooks.find(cells(*sources), "answer"))
    if expected is None:
        assert len(found) == 2
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("x = 1",), "'answer' is defined in no cell"),
        (("from gancourse.losses import d_loss as answer",), "is imported in cell 1 and not written"),
        (("while True: answer = 1",), "only made in cell 1, in a part that the grader does not run"),
        (("for answer in range(3): step()",), "only made in cell 1, in a part that the grader does not run"),
        (("def answer(:\n    pass",), "seems to be in cell 1, which cannot be read"),
    ],
)
def test_an_answer_that_is_not_there_is_told_with_the_reason(sources: tuple[str, ...], said: str) -> None:
    found = notebooks.find(cells(*sources), "answer")
    assert isinstance(found, str) and said in found


def test_what_only_a_training_loop_makes_is_named_and_not_run() -> None:
    loop = "for i in range(3):\n    loss = i\n    step(loss)"
    found = notebooks.find(cells(loop, "def answer(): return loss"), "answer")
    assert isinstance(found, notebooks.Answer) and "cell 1" in found.missing["loss"]
    tagged = {"cell_type": "code", "source": "model = train()", "metadata": {"tags": ["training"]}}
    book = notebooks.read(json.dumps({"cells": [tagged, made.code("answer = model")]}).encode())
    found = notebooks.find(book, "answer")
    assert isinstance(found, notebooks.Answer) and "model" in found.missing


def test_instructors_are_told_of_second_definitions_and_of_the_course_package() -> None:
    book = cells("from gancourse import losses", "def answer(): pass", "def answer(): return losses")
    found = notebooks.find(book, "answer")
    assert isinstance(found, notebooks.Answer)
    assert found.notes == ("answer is defined 2 times (cells 2, 3); the last one counts", "uses gancourse")


@pytest.mark.parametrize("kind", ["binary junk", "empty", "cut", "other json", "nested"])
def test_what_is_no_notebook_is_said_to_be_none(kind: str) -> None:
    for number in range(2):
        with pytest.raises(notebooks.Unreadable):
            notebooks.read(made.make(kind, number).data)


@pytest.mark.parametrize("kind", ["utf-16", "latin-1", "old format", "stripped metadata", "syntax error", "odd cells"])
def test_odd_notebooks_are_read_as_far_as_they_go(kind: str) -> None:
    book = notebooks.read(made.make(kind, 1).data)
    found = notebooks.find(book, "d_loss")
    assert isinstance(found, notebooks.Answer) == made.KINDS[kind][1]
    assert bool(book.faults) == (kind in ("utf-16", "latin-1", "syntax error", "odd cells"))


def test_code_that_is_nested_too_deep_is_a_fault_of_its_cell() -> None:
    branches = "if 1: pass\n" + "".join(f"elif {n}: pass\n" for n in range(5000))
    book = cells("x = " + "-" * 100_000 + "1", "(" * 1000, "answer = 1", "y = '\0'", branches)
    assert len(book.faults) == 4 and pieces(notebooks.find(book, "answer")) == ["answer = 1"]


# Finding submissions ---------------------------------------------------------------------------------


def test_a_folder_may_hold_anything(tmp_path: Path) -> None:
    outside = tmp_path / "outside.ipynb"
    outside.write_text("{}")
    folder = tmp_path / "handed in"
    (folder / "bob" / ".ipynb_checkpoints").mkdir(parents=True)
    (folder / "bob" / ".ipynb_checkpoints" / "hw.ipynb").write_text("{}")
    (folder / "bob" / "hw.ipynb").write_text("{}")
    (folder / "notes.txt").write_text("")
    (folder / "pipe.ipynb").symlink_to("/dev/zero")
    (folder / "out.ipynb").symlink_to(outside)
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    (folder / "all").symlink_to("/")
    os.mkfifo(folder / "fifo.ipynb")
    found = collect(folder, tmp_path)
    faults = {s.path: s.fault for s in found.submissions}
    assert faults.pop("bob/hw.ipynb") == ""
    assert set(faults) == {"pipe.ipynb", "out.ipynb", "loop.ipynb", "fifo.ipynb"} and all(faults.values())
    assert set(found.skipped) == {*faults, "all", "notes.txt"}


def test_a_zip_writes_nowhere_else_and_may_be_damaged(tmp_path: Path) -> None:
    path, scratch = tmp_path / "hw.zip", tmp_path / "scratch"
    scratch.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.ipynb", "{}")
        archive.writestr("/etc/escaped.ipynb", "{}")
        archive.writestr("C:\\escaped.ipynb", "{}")
        archive.writestr("Jane Doe_12_assignsubmission_file_/hw.ipynb", "{}")
        archive.writestr("__MACOSX/._hw.ipynb", "")
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = collect(path, scratch)
    good = [s for s in found.submissions if not s.fault]
    assert [(s.student, s.number) for s in good] == [("Jane Doe", "12")]
    assert len(found.skipped) == 4
    assert [p.parent for p in tmp_path.rglob("*.ipynb")] == [scratch]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="neither a folder nor a zip"):
        collect(path, scratch)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancourse.grading.submissions.MAX_FILE", 2**20)
    path = tmp_path / "hw.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.ipynb", b"0" * 5 * 2**20)
    found = collect(path, tmp_path)
    assert "more than 1 MB" in found.submissions[0].fault
    assert sum(p.stat().st_size for p in tmp_path.glob("*.ipynb")) == 0


# What comes out --------------------------------------------------------------------------------------

TASKS = (
    tables.Task("t.double", "Double", 2, "function"),
    tables.Task("t.half", "Half", 3, "value"),
    tables.Task("t.why", "Why", 5, "text"),
)


def row(student: str = "=cmd()", number: str = "12345") -> tables.Row:
    """Return the row of a student who has one exercise right and one wrong."""
    filled = tables.Row(student, number, ["a.ipynb", "b.ipynb"])
    wrong = {"ok": False, "hint_id": "value", "hint": "<script>|*x*", "notes": [], "text": ""}
    right = {"ok": True, "hint_id": None, "hint": "", "notes": ["uses gancourse.losses"], "text": ""}
    texts = right | {"text": "first <b>line</b>\nsecond", "notes": []}
    tables.combine(filled, {"exercises": {"t.double": right, "t.half": wrong, "t.why": texts}}, "a.ipynb")
    tables.combine(filled, {"faults": ["cut"], "exercises": {"t.double": wrong, "t.half": wrong}}, "b.ipynb")
    return filled


def test_csv_columns_are_those_that_canvas_and_moodle_import() -> None:
    canvas = list(csv.reader(io.StringIO(tables.table([row()], TASKS, "canvas", "HW 1 (77)"))))
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "HW 1 (77)"]
    assert canvas[1][0] == "Points Possible" and canvas[1][-1] == "5"
    assert canvas[2] == ["'=cmd()", "12345", "", "", "", "2"]
    moodle = list(csv.DictReader(io.StringIO(tables.table([row()], TASKS, "moodle", "HW 1"))))
    assert {"Identifier", "Grade", "Last modified (grade)", "Feedback comments"} <= set(moodle[0])
    assert moodle[0]["Identifier"] == "Participant 12345" and moodle[0]["Grade"] == "2"
    plain = list(csv.DictReader(io.StringIO(tables.table([row()], TASKS, "plain", "HW 1"))))
    assert (plain[0]["t.double"], plain[0]["t.half"], plain[0]["t.why (by hand)"]) == ("2", "0", "written")
    assert (plain[0]["Points"], plain[0]["Of"]) == ("2", "5")
    assert plain[0]["Faults"] == "b.ipynb: cut" and "uses gancourse.losses" in plain[0]["Notes"]


def test_feedback_cannot_be_written_by_a_student() -> None:
    text = tables.feedback(row("<img src=x>"), TASKS, "HW 1")
    assert "<" not in text and "2 of 5 points" in text
    assert "/" not in tables.file_name(row("../../etc/passwd"))
    assert tables.file_name(row("é", "")) != tables.file_name(row("è", ""))


def test_a_journal_survives_a_cut_line_and_refuses_other_settings(tmp_path: Path) -> None:
    path, settings = tmp_path / "g.csv.journal", {"sets": ["game"]}
    with Journal(path, settings, 7) as journal:
        journal.add({"digest": "a"})
        with pytest.raises(UserError, match="Another grading"):
            Journal(path, settings, 7)
    with open(path, "ab") as file:
        file.write(b'{"digest": "b"')
    with Journal(path, settings, None) as journal:
        assert journal.seed == 7 and set(journal.records) == {"a"}
        journal.add({"digest": "c"})
    assert path.read_bytes().count(b"\n") == 3 and path.stat().st_mode & 0o77 == 0
    for other, seed, said in (
        ({"sets": ["lsgan"]}, 7, "with other sets; .* --restart"),
        (settings | {"code": "abc"}, 7, "with other code of the checks; "),
        (settings, 8, "with another seed; "),
    ):
        with pytest.raises(UserError, match=said):
            Journal(path, other, seed)
    with Journal(path, settings, 8, restart=True) as journal:
        assert not journal.records and journal.seed == 8
    path.write_text("nothing of the kind\n")
    with pytest.raises(UserError, match="not a journal"):
        Journal(path, settings, 7)


# Running answers -------------------------------------------------------------------------------------


def tiny() -> Set:
    """Return a set of three exercises."""

    def inputs(seed: int) -> list[Case]:
        import torch

        x = torch.randn(4, generator=torch.Generator().manual_seed(seed))
        return [Case((x,), grads=(0,)), Case((x[:3] + 1,), grads=(0,))]

    double = Exercise(
        name="tiny.double",
        title="Double",
        tier="implement",
        points=2,
        answer="double",
        cases=inputs,
        judge=compare(lambda x: 2 * x, {"same": (lambda x: x, "it gives back its argument")}),
    )
    half = Exercise(
        name="tiny.half", title="Half", tier="predict", points=1, answer="half", kind="value", judge=compare(0.5)
    )
    why = Exercise(
        name="tiny.why",
        title="Why",
        tier="investigate",
        points=3,
        answer="why",
        kind="text",
        judge=written(3),
        rubric="Anything.",
    )
    return Set("tiny", "00_tiny", "Tiny", (double, half, why))


@pytest.fixture(scope="module")
def grader() -> Iterator[worker.Grader]:
    """A grader of the set above, with what isolation this system allows."""
    real = checks.load_set
    checks.load_set = lambda word: tiny() if word == "tiny" else real(word)
    try:
        with Sandbox(UID, LIMITS) as box:
            yield worker.Grader(["tiny", "game"], 3, box)
    finally:
        checks.load_set = real


def isolated(grader: worker.Grader) -> None:
    """Skip a test that would harm the person who runs it where answers are not isolated."""
    if missing := {"files", "processes", "network"} - set(grader.sandbox.in_force):
        pytest.skip(f"this system does not allow the isolation of {', '.join(sorted(missing))}")


def grade(grader: worker.Grader, name: str, *sources: str, limits: Limits = LIMITS) -> dict[str, Any]:
    """Return the record of one exercise."""
    (exercise,) = (e for e in grader.exercises if e.name == name)
    grader.sandbox.limits = limits
    return grader.grade(exercise, notebooks.find(cells(*sources), exercise.answer))


def test_answers_of_each_kind_are_graded(grader: worker.Grader) -> None:
    book = ("def double(x): return x + x", "half = 1 / 2", "why = 'because it is so'")
    records = [grade(grader, name, *book) for name in ("tiny.double", "tiny.half", "tiny.why")]
    assert [record["ok"] for record in records] == [True] * 3
    assert records[2]["text"] == "because it is so"
    assert grade(grader, "tiny.double", "def double(x): return x")["hint_id"] == "same"
    assert grade(grader, "tiny.half", "half = None")["hint_id"] == "not-done"
    assert grade(grader, "tiny.half")["hint_id"] == "missing"


def test_an_exercise_that_ends_its_process_costs_no_other(grader: worker.Grader) -> None:
    book = ("import os\ndef double(x): os._exit(0)", "half = 0.5", "why = os._exit(1)")
    assert grade(grader, "tiny.double", *book)["hint_id"] == "ended"
    assert grade(grader, "tiny.half", *book)["ok"]
    assert grade(grader, "tiny.why", *book)["hint_id"] == "ended"


def test_a_helper_that_is_missing_is_named_with_the_reason(grader: worker.Grader) -> None:
    found = grade(grader, "tiny.double", "while k < 2: factor = k", "def double(x): return factor * x")
    assert found["hint_id"] == "undefined" and "'factor'" in found["hint"] and "cell 1" in found["hint"]


def test_a_child_has_no_rights(grader: worker.Grader, tmp_path: Path) -> None:
    """What `in_force` says holds, as seen from inside."""
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    seen = grader.sandbox.report({"secret": str(secret), "here": "."})
    held = grader.sandbox.in_force
    assert seen["user"] != 0 and seen["writable"] == ["here"] and seen["files"] == []
    assert "network" not in held or seen["interfaces"] == []
    assert "processes" not in held or seen["process"] == 1
    assert not {"user", "files"} & set(held) or "secret" not in seen["readable"]
    assert "user" in held or os.geteuid() != 0
    assert seen["limits"]["RLIMIT_NPROC"] < 10_000


def test_inside_there_is_nothing_but_python(grader: worker.Grader) -> None:
    isolated(grader)
    source = """
import ctypes, os, socket, gancourse
def double(x):
    package = os.path.dirname(gancourse.__file__)
    rooms = [os.path.join(package, name) for name in ("checks", "grading")]  # a checkout below /tmp is gone as a whole
    found = [os.listdir(room) if os.path.isdir(room) else [] for room in rooms]
    try:
        socket.create_connection(("127.0.0.1", 9), 1)
    except OSError as error:
        found.append(error.errno)
    found.append(ctypes.CDLL(None).unshare(0x10000000))
    found += [os.path.exists(path) for path in ("/proc/1", "/home", "/root/.bashrc", "/etc/passwd")]
    for descriptor in range(4, 64):
        try:
            found.append(os.fstat(descriptor))
        except OSError:
            pass
    raise ValueError(found)
"""
    hint = grade(grader, "tiny.double", source)["hint"]
    error = 97 if "system calls" in grader.sandbox.in_force else 101
    assert f"[[], [], {error}, -1, False, False, False, False]" in hint, hint


def test_nothing_of_one_answer_is_left_for_the_next(grader: worker.Grader) -> None:
    isolated(grader)
    source = "import os\nopen('mine', 'w').write('x')\nhalf = 0.5"
    assert grade(grader, "tiny.half", source)["ok"]
    assert grade(grader, "tiny.half", "import os\nhalf = 0.5 if not os.listdir('.') else 0")["ok"]


HOSTILE = {
    "endless loop": (made.ENDLESS[2], "slow"),
    "memory": (made.MEMORY[0], ("raises", "memory")),
    "huge tensor": (made.MEMORY[1], "raises"),
    "fork bomb": (made.FORKS[0], "slow"),
    "exit": (made.EXIT[0], "ended"),
    "kill everything": (made.EXIT[4], None),
    "segmentation fault": (made.CRASH[3], "ended"),
    "memory of several processes": (made.MEMORY[3], ("memory", "slow")),
    "endless pipe": (made.PRINTS[2], "output"),
    "long file": (made.WRITES[1], "raises"),
    "the next folder": (made.WRITES[0], "raises"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_stopped(grader: worker.Grader, name: str) -> None:
    isolated(grader)
    source, hint_id = HOSTILE[name]
    limits = SHORT if hint_id is None or "slow" in hint_id else LIMITS
    found = grade(grader, "game.d_loss", "import torch\nimport torch.nn.functional as F", source, limits=limits)
    assert not found["ok"] and (hint_id is None or found["hint_id"] in hint_id), found
    assert grade(grader, "tiny.half", "half = 0.5")["ok"], "and the next answer is graded"


CHEATS = (*made.PATCHED, *made.OVERLOADED, *made.READS, *made.FORGED[:-3])


@pytest.mark.parametrize("number", range(len(CHEATS)))
def test_no_cheat_earns_a_point(grader: worker.Grader, number: int) -> None:
    isolated(grader)
    head = "import torch\nimport torch.nn.functional as F"
    found = grade(grader, "game.d_loss", head, CHEATS[number], limits=SHORT)
    assert not found["ok"], found


def test_right_answers_in_every_style(grader: worker.Grader) -> None:
    for source in made.RIGHT:
        assert grade(grader, "game.d_loss", "import torch.nn.functional as F", source)["ok"]


def test_without_namespaces_the_limits_and_the_user_still_hold() -> None:
    if UID is None:
        pytest.skip("needs root, which can give answers a user of their own")
    with Sandbox(UID, Limits(wall=120, cpu=2, memory=200 * 2**20, processes=4), program=WITHOUT_NAMESPACES) as box:
        assert box.in_force in (["user"], ["user", "network", "system calls"])
        cases = '[{"args": {"tuple": []}, "kwargs": {"dict": []}, "grads": {"tuple": []}, "changes": {"tuple": []}, '
        cases += '"note": "", "seed": 0}]'

        def run(source: str) -> sandbox.Outcome:
            return box.run([(source, "cell 1")], "f", cases, "call")

        assert run("import os\ndef f(): return os.getuid()").text.count(str(UID)) == 1
        assert "PermissionError" in run("def f(): open('/usr/mine', 'w')").text
        assert run("def f():\n    while True: pass").why in ("wall", "cpu")
        orphan = "import os, time\ndef f():\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(99)\n"
        assert run(orphan + "    os._exit(3)").code == 3
        assert "BlockingIOError" in run("import os\ndef f():\n    while os.fork(): pass\n    os._exit(0)").text
        assert "File too large" in run("def f(): open('long', 'wb').write(b'x' * 10**8)").text
    for _ in range(200):  # who is killed needs a moment to go; who is not stays for 99 seconds
        left = [p for p in Path("/proc").glob("[0-9]*") if _lives(p, UID)]
        if not left:
            break
        time.sleep(0.05)
    assert not left, "what an answer started is killed"


def _lives(process: Path, uid: int) -> bool:
    """Return whether a process of a user runs; one that has ended may wait for somebody to take note."""
    with contextlib.suppress(OSError, IndexError):
        status = (process / "status").read_text()
        return int(status.split("Uid:")[1].split()[0]) == uid and "State:\tZ" not in status
    return False


# The command -----------------------------------------------------------------------------------------


def arguments(*words: str) -> argparse.Namespace:
    """Return what the command line gives."""
    parser = argparse.ArgumentParser()
    grading.add_arguments(parser)
    return parser.parse_args(words)


def command(*words: str) -> list[str]:
    """Return the words of a grading in a process of its own."""
    code = "import test_grading as t, sys; t.grading.run(t.arguments(*sys.argv[1:]))"
    return [sys.executable, "-c", code, *words]


def environment() -> dict[str, str]:
    """Return an environment in which this file can be imported."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(entry for entry in (str(Path(__file__).parent), *sys.path) if entry)
    }


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only this user can enter, as the grader demands where it has nothing better."""
    tmp_path.chmod(0o700)
    return tmp_path


def hand_in(folder: Path, count: int) -> None:
    """Write submissions: right and wrong ones in turn, the last one broken."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        kind = "cut" if number == count - 1 else ("right", "wrong")[number % 2]
        (folder / f"s{number}_{100 + number}_{900 + number}_hw.ipynb").write_bytes(made.make(kind, number).data)


def test_a_killed_grading_goes_on_where_it_stopped(private: Path) -> None:
    """One folder with all sorts of things, a SIGKILL in the middle, and the run that ends it."""
    folder, out, feedback = private / "in", private / "out" / "grades.csv", private / "feedback"
    hand_in(folder, 6)
    (folder / "ann").mkdir()
    (folder / "ann" / "a.ipynb").write_bytes(made.make("right", 0).data)  # the same bytes as s0's
    (folder / "ann" / "b.ipynb").write_bytes(made.make("wrong", 0).data)
    (folder / "carl.ipynb").symlink_to("/etc/passwd")
    words = [str(folder), "--out", str(out), "--feedback", str(feedback), "--weak-isolation", "--wall", "120"]
    process = subprocess.Popen(command(*words), env=environment(), stdout=subprocess.DEVNULL)
    journal = out.with_name("grades.csv.journal")
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and (not journal.exists() or journal.read_bytes().count(b"\n") < 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_bytes()
    assert not out.exists() and before.count(b"\n") >= 3
    done = subprocess.run(command(*words), env=environment(), capture_output=True, text=True, check=True)
    assert f"{before.count(bytes([10])) - 1} submissions are graded already" in done.stdout
    assert "skipped: carl.ipynb (a symbolic link out of the folder; it is not followed)" in done.stdout
    assert "set: game" in done.stdout and "1 with several files" in done.stdout
    digests = [json.loads(line).get("digest") for line in journal.read_text().splitlines()[1:]]
    assert len(digests) == len(set(digests)) == 7, "nothing is graded twice, the copy included"
    rows = {row["Student"]: row for row in csv.DictReader(out.open(encoding="utf-8"))}
    assert set(rows) == {"ann", "carl", *(f"s{number}" for number in range(6))}, "no row is lost"
    points = {student: row["game.d_loss"] for student, row in rows.items()}
    assert points == {"ann": "2", "s0": "2", "s2": "2", "s4": "2", "carl": "0", "s1": "0", "s3": "0", "s5": "0"}
    assert rows["s5"]["Faults"] and rows["carl"]["Faults"] and rows["s3"]["ID"] == "103"
    assert "the same file as s0_100_900_hw.ipynb" in rows["ann"]["Notes"]
    assert len(list(feedback.glob("*.md"))) == 8
    assert "2 of 2" in (feedback / "s0-100.md").read_text(encoding="utf-8")


#: A comparing process that dies at one exercise and hangs at another.
FRAGILE = """
import json, os, resource, sys, time
def say(**record): print(json.dumps(record), flush=True)
sys.stdin.readline()
say(exercises=[])
for line in sys.stdin:
    request = json.loads(line)
    say(faults=["odd"])
    for name in ("t.first", "t.dies", "t.hangs", "t.stuck", "t.dies_too", "t.right"):
        if name in request["skip"]: continue
        if name.split(".")[1] not in (request["file"], "first", "right"): continue
        say(starts=name)
        if "dies" in name: os._exit(1)
        if name == "t.hangs":
            resource.setrlimit(resource.RLIMIT_CPU, (1, 9))
            while True: pass
        if name == "t.stuck": time.sleep(99)
        say(exercise=name, ok=True, hint_id=None, hint="", notes=[], text="")
    say(done=True)
"""


@pytest.mark.parametrize(("file", "lost"), [("dies", ["t.dies"]), ("hangs", ["t.hangs", "t.right"])])
def test_a_judge_that_dies_costs_one_exercise_and_one_that_hangs_the_rest(
    file: str, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that hangs the judge is given up: no hang is paid for twice."""
    record, starts = fragile_record(file, monkeypatch)
    expected = ["t.first", f"t.{file}", "t.right"]
    assert list(record["exercises"]) == expected and starts == 1
    assert [name for name in expected if record["exercises"][name]["hint_id"] == "judge-error"] == lost
    assert record["faults"] == ["odd"] and not record["unreadable"]


def test_a_judge_that_is_stuck_without_using_time_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancourse.grading.command.PATIENCE", 6.0)
    monkeypatch.setattr("gancourse.grading.command.LAST_WORDS", 0.5)
    record, starts = fragile_record("stuck", monkeypatch)
    assert [each["hint_id"] for each in record["exercises"].values()] == [None, "judge-error", "judge-error"]
    assert starts == 1


def fragile_record(file: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], int]:
    """Return the record of a file that does something to the judge, and how often the judge was started anew."""
    monkeypatch.setattr(Worker, "program", ("-c", FRAGILE))
    grading_ = Grading.__new__(Grading)
    grading_.limits, grading_.words = Limits(wall=0.1), ["t"]
    grading_.tasks = [tables.Task(f"t.{name}", "", 1, "function") for name in ("first", file, "right")]
    fragile, starts = Worker({}), []
    monkeypatch.setattr(Worker, "restart", lambda self, real=Worker.restart: (starts.append(1), real(self))[1])
    try:
        return grading_._grade(fragile, Submission(file, "a", file=Path(file), digest="d")), len(starts)
    finally:
        fragile.stop()


def test_a_folder_without_notebooks_is_told(private: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (private / "in").mkdir()
    grading.run(arguments(str(private / "in"), "--out", str(private / "g.csv")))
    assert "There is no notebook" in capsys.readouterr().out and not (private / "g.csv").exists()


def test_mistakes_at_the_command_line_are_told(private: Path) -> None:
    out = str(private / "grades.csv")
    for words, said in (
        ((str(private / "none"), "--out", out), "There is no"),
        ((str(private), "--out", str(private)), "is a folder"),
        ((str(private), "--out", out, "--set", "gam"), "Did you mean 'game'"),
        ((str(private), "--out", out, "--jobs", "0"), "--jobs 0"),
    ):
        with pytest.raises(UserError, match=said):
            grading.run(arguments(*words))
    (private / "a.ipynb").write_text("{}")
    with pytest.raises(UserError, match="Give --set"):
        grading.run(arguments(str(private), "--out", out))
    with pytest.raises(UserError, match="--seed-file"):
        grading.run(arguments(str(private), "--out", out, "--set", "game", "--seed-file", str(private / "no")))


def test_a_grading_is_refused_where_answers_reach_the_grader_s_files(
    private: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is measured in a child decides; root, files that others may read, and the references."""

    def says(*words: str, user: int = 60_001, readable: tuple[str, ...] = ()) -> str:
        grading_ = Grading.__new__(Grading)
        grading_.arguments = arguments(str(private), "--out", str(private / "g.csv"), *words)
        grading_._say_isolation(
            {"in_force": ["user"], "seen": {"user": user, "readable": readable, "writable": []}},
        )
        return capsys.readouterr().out

    said = says()
    assert "answers run with: a user of their own" in said and "does not give: no rights outside" in said
    assert "WARNING" in says(readable=(REFERENCES,))
    for user, readable in ((0, ()), (60_001, ("the submissions",))):
        with pytest.raises(UserError):
            says(user=user, readable=readable)
    assert "do not trust" in says("--weak-isolation", readable=("the submissions",))


def test_the_container_installs_what_is_there() -> None:
    """Reading only; nothing here builds it."""
    text = (made.ROOT / "gancourse" / "grading" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(line.split()[0] in ("FROM", "ENV", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD") for line in lines)
    assert lines[0] == "FROM python:3.11-slim"
    for line in lines:
        if line.startswith("COPY"):
            assert all((made.ROOT / name).exists() for name in line.split()[1:-1]), line
    assert 'ENTRYPOINT ["python", "-m", "gancourse", "exercises", "grade"]' in lines
    example = text.split("gancourse-grader /in ")[1].split("\n")[0].split()
    assert arguments("/in", *example).set == "game"


def test_the_page_on_safety_names_tests_that_exist() -> None:
    text = (made.ROOT / "book" / "instructors" / "grader.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text)) - {path.stem for path in Path(__file__).parent.glob("*.py")}
    there = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_grading*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", there, re.MULTILINE))
    assert len(named) > 10
    assert named <= defined, named - defined


def test_windows_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(UserError, match="WSL"):
        sandbox.needs_posix()


def test_root_needs_another_user_to_run_answers(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(private / "in", 1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(isolation, "free_users", lambda count: [])
    with pytest.raises(UserError, match="no free user"):
        grading.run(arguments(str(private / "in"), "--out", str(private / "g.csv"), "--set", "game"))
