"""What an answer can use and say: no memory beside the limit, nothing kept, no time forged, and no results mixed."""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import submissions as made
from test_grading import UID, arguments, cells, hand_in

from gancourse import grading
from gancourse.checks import core, probes
from gancourse.checks.core import Case, Exercise, compare
from gancourse.errors import UserError
from gancourse.grading import calls, command, journal, notebooks, reading, submissions, worker
from gancourse.grading.isolation import Limits
from gancourse.grading.sandbox import Outcome, Sandbox
from gancourse.grading.submissions import Found, Submission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are limits of Linux")

LIMITS = Limits(wall=120.0, cpu=60, memory=300 * 2**20)
CASES = probes.to_json([Case()])

#: A clean parent of a kernel that filters no calls.
WITHOUT_FILTER = (
    "-c",
    "from gancourse.grading import calls, zygote\ncalls.available = lambda: False\nzygote.main()",
)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A sandbox with what isolation this system allows."""
    with Sandbox(UID, LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def unfiltered() -> Iterator[Sandbox]:
    """A sandbox without the filter of system calls."""
    with Sandbox(UID, LIMITS, program=WITHOUT_FILTER) as sandbox:
        yield sandbox


def needs(box: Sandbox, *names: str) -> None:
    """Skip a test where the system does not give this."""
    if missing := set(names) - set(box.in_force):
        pytest.skip(f"this system does not give: {', '.join(sorted(missing))}")


def value(box: Sandbox, source: str) -> Any:
    """Return what `f` gives in a child."""
    outcome = box.run([(source, "cell 1")], "f", CASES, "call")
    (result,) = probes.from_json(probes.Result, outcome.text)
    assert result.ok, result.message
    return result.output


# Calls -----------------------------------------------------------------------------------------------


def test_calls_that_lead_past_the_limits_are_refused(box: Sandbox) -> None:
    """Every one of the list, with arguments that would do nothing, and none by its other number."""
    needs(box, "system calls")
    column, _ = calls.PROCESSORS[os.uname().machine]
    numbers = {name: pair[column] for name, pair in calls.REFUSED.items()}
    source = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f():
    found = {{}}
    for name, number in {numbers!r}.items():
        for base in (0, 0x40000000):
            ctypes.set_errno(0)
            given = libc.syscall(ctypes.c_long(base + number), *[ctypes.c_long(-1)] * 6)
            found[f"{{name}} {{base}}"] = given, ctypes.get_errno()
    return found
"""
    found = value(box, source)
    assert {name for name, given in found.items() if given not in ((-1, 1), (-1, 38))} == set()
    assert {name for name in numbers if found[f"{name} 0"] != (-1, 1)} == set()


def test_only_local_sockets_are_left(box: Sandbox) -> None:
    needs(box, "system calls")
    source = """
import socket
def f():
    found = []
    for family in range(1, 46):
        for kind in (1, 2, 3):
            try:
                socket.socket(family, kind).close()
                found.append(family)
            except OSError as error:
                assert error.errno == 97
    a, b = socket.socketpair()
    a.send(b"x")
    return sorted(set(found)), b.recv(1).decode()
"""
    found, received = value(box, source.replace("assert error.errno == 97", "assert error.errno == 97 or family == 1"))
    assert found == [socket_family("AF_UNIX")] and received == "x"


def socket_family(name: str) -> int:
    """Return the number of a family of sockets."""
    import socket

    return int(getattr(socket, name))


@pytest.mark.parametrize("number", range(len(made.BESIDE_THE_LIMITS)))
def test_no_memory_beside_the_limit_and_nothing_kept(box: Sandbox, number: int) -> None:
    """Segments, files in memory, keys, sockets to the host: an answer that needs one gets an error, and no point."""
    needs(box, "system calls")
    grader = worker.Grader(["game"], 3, box)
    (exercise,) = (e for e in grader.exercises if e.name == "game.d_loss")
    book = cells("import torch\nimport torch.nn.functional as F", made.BESIDE_THE_LIMITS[number])
    record = grader.grade(exercise, notebooks.find(book, "d_loss"))
    assert not record["ok"] and "Error" in record["hint"], record


def test_what_is_refused_is_measured_by_a_child(box: Sandbox, unfiltered: Sandbox) -> None:
    assert "system calls" not in unfiltered.in_force
    assert "memfd" in unfiltered.report({})["open"], "the measure sees what is open"
    needs(box, "system calls")
    assert box.report({})["open"] == [] and "network" in box.in_force


def test_a_filter_that_does_not_hold_is_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*ways: str) -> str:
        grading_ = command.Grading.__new__(command.Grading)
        grading_.arguments = arguments(str(tmp_path), "--out", str(tmp_path / "g.csv"))
        seen = {"user": 60_001, "readable": (), "writable": (), "open": ways}
        grading_._say_isolation({"in_force": ["user", "system calls"], "seen": seen})
        return capsys.readouterr().out.splitlines()[0]

    assert command.MEANINGS["system calls"] in said() and command.MEANINGS["system calls"] not in said("keys")


def test_without_the_filter_there_is_no_shared_memory_either(unfiltered: Sandbox) -> None:
    needs(unfiltered, "files", "user")
    source = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f():
    return [libc.shmget(0, ctypes.c_size_t(4096), 0o600), libc.msgget(0, 0o600)]
"""
    assert value(unfiltered, source) == [-1, -1]


def test_without_the_filter_each_answer_has_its_own_session_of_keys(unfiltered: Sandbox) -> None:
    machine = os.uname().machine
    if machine not in calls.PROCESSORS or calls._call(calls.KEYCTL, ctypes.c_long(0), ctypes.c_long(-3), None) < 0:
        pytest.skip("this system has no keys")
    column, _ = calls.PROCESSORS[machine]
    add, keyctl = calls.REFUSED["add_key"][column], calls.REFUSED["keyctl"][column]
    source = f"""
import ctypes
libc = ctypes.CDLL(None)
def f():
    before = libc.syscall({keyctl}, 10, ctypes.c_long(-3), b"user", b"mine", ctypes.c_long(0))  # look for it
    added = libc.syscall({add}, b"user", b"mine", b"x", ctypes.c_long(1), ctypes.c_long(-3))
    return before, added
"""
    for _ in range(2):
        before, added = value(unfiltered, source)
        assert before < 0 < added


def test_ordinary_libraries_do_not_need_what_is_refused(box: Sandbox) -> None:
    source = """
import ctypes, multiprocessing.pool, os, subprocess, sys, tempfile, threading
import numpy, torch
def f():
    found = []
    thread = threading.Thread(target=lambda: found.append("thread"))
    thread.start()
    thread.join()
    with multiprocessing.pool.ThreadPool(2) as pool:
        found.append(sum(pool.map(abs, [-1, -2])))
    found.append(subprocess.run([sys.executable, "-c", "print(6)"], capture_output=True, text=True).stdout.strip())
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    found.append(float(torch.linalg.svdvals(torch.eye(2)).sum() + numpy.linalg.norm([3, 4])))
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
    return [*found, callback(1)]
"""
    assert value(box, source) == ["thread", 3, "6", 7.0, 2]


# The command's own memory ----------------------------------------------------------------------------


def test_the_command_keeps_no_word_of_a_file_but_those_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"".join(b'check("w%d") ' % number for number in range(400_000)) + b'check("game.d_loss"')
    submission = Submission("a.ipynb", "a", file=path)
    tracemalloc.start()
    submissions._look(submission)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert submission.words == {"game"} and peak < 12 * 2**20, f"{peak / 2**20:.0f} MB for a file of 6 MB"


# What comes back -------------------------------------------------------------------------------------


def results(value: Any, **more: Any) -> str:
    """Return results as a child may send them."""
    return json.dumps([made._RESULT | {"value": value} | more] * 2)


@pytest.mark.parametrize(
    "value",
    [
        {"dict": [[number * (2**61 - 1), 0] for number in range(1, 500)]},
        [[1] * 200_000] * 4,
        {str(number): 1 for number in range(1000)},
        {"tensor": [1] * 100, "dtype": "float32", "data": [1.0]},
    ],
    ids=["equal hash values", "too many numbers", "too many keys", "too many dimensions"],
)
def test_results_that_are_too_much_are_not_decoded(value: Any) -> None:
    with pytest.raises(ValueError, match="too many"):
        worker.weigh(results(value))


def test_results_of_any_size_that_a_probe_writes_are_read(box: Sandbox) -> None:
    import torch

    large = probes.Result(value=probes.encode([torch.zeros(150_000), {"a": (1, "x" * 1000)}]))
    worker.weigh(probes.to_json([large] * 3))
    for text in ("1", "[" * 10**6, "[" + "[" * 99 + "]" * 99 + "]"):
        with pytest.raises(ValueError):
            worker.weigh(text)
    with pytest.raises(ValueError):
        worker.weigh("not JSON")


def test_results_that_are_slow_to_decode_stop_no_judge(box: Sandbox) -> None:
    """They cost the answer its points, and the process that judges goes on."""
    grader = worker.Grader(["game"], 3, box)
    (exercise,) = (e for e in grader.exercises if e.name == "game.d_loss")
    found = notebooks.find(cells("import torch", made.COLLIDING[0]), "d_loss")
    record = grader.grade(exercise, found)
    assert not record["ok"] and record["hint_id"] == "unreadable", record


# What an answer says of itself -----------------------------------------------------------------------


def timed(seconds: float) -> Exercise:
    """Return an exercise that allows this much processor time."""
    return Exercise(
        name="tiny.one",
        title="One",
        tier="implement",
        points=1,
        answer="one",
        judge=compare(lambda: 1),
        seconds=seconds,
    )


#: Ways to say that no time was taken, each before three seconds of work: another clock, other results, another process.
FORGED = {
    "clock": "time.process_time = lambda: 0.0\n    work()\n    return 1",
    "result": "from gancourse.checks import probes\n    real = probes.to_json\n    def forged(results):\n"
    "        results[0].seconds = 0.0\n        return real(results)\n    probes.to_json = forged\n"
    "    work()\n    return 1",
    "child": "import os\n    if os.fork() == 0:\n        work()\n        os._exit(0)\n    os.wait()\n    return 1",
}


@pytest.mark.parametrize("name", FORGED)
def test_time_is_taken_from_outside(box: Sandbox, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOADING", 0.5)
    grader = worker.Grader([], 3, box)
    exercise = timed(1.0)
    grader.cases, grader.as_json = {exercise.name: exercise.cases(1)}, {exercise.name: CASES}
    work = "import time\nclock = time.process_time\ndef work():\n    end = clock() + 3\n    while clock() < end: pass"
    record = grader.grade(exercise, notebooks.find(cells(work, f"def one():\n    {FORGED[name]}"), "one"))
    assert not record["ok"] and record["hint_id"] == "slow", record
    honest = "import time\ntime.process_time = lambda: 0.0\ndef one(): return 1"
    assert grader.grade(exercise, notebooks.find(cells(honest), "one"))["ok"], "a right answer in time is right"


def test_imports_do_not_count_as_time_of_an_answer() -> None:
    exercise = timed(1.0)
    results = [probes.Result(value=1, seconds=0.1)]
    assert core.verdict(exercise, [Case()], results, 0.9).ok
    assert core.verdict(exercise, [Case()], results, 1.1).hint_id == "slow"
    assert core.verdict(exercise, [Case()], results, -3.0).ok
    assert Outcome.__dataclass_fields__.keys() >= {"seconds", "cpu"} and worker.LOADING > 0


def test_the_page_names_what_an_answer_says_of_itself() -> None:
    """Each field of a result that is no number to be computed, and each key that a probe adds, is on the page."""
    text = (made.ROOT / "book" / "instructors" / "grader.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"\*\*What only the answer's process can know\.\*\*(.*?)\n\n", text, re.DOTALL)
    computed = {"value", "grads", "after", "error", "message", "printed"}  # wrong, if forged, or of no use to forge
    told = set(probes.Result.__dataclass_fields__) - computed - {"seconds"}
    source = Path(probes.__file__).read_text(encoding="utf-8")
    (after,) = re.findall(r"\ndef aftermath\(.*?\n\n\n", source, re.DOTALL)
    told |= set(re.findall(r'^        "(\w+)":', after, re.MULTILINE)) - {"output", "buffers"}
    assert {"mutated", "detached", "graph", "untouched"} <= told
    assert told <= set(re.findall(r"`(\w+)`", section)), told
    assert "`seconds`" not in section


# The journal and the set -----------------------------------------------------------------------------


def test_other_code_of_the_checks_is_another_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is of what verdicts come from: the sets in question, what they import, and what runs and judges."""
    package = tmp_path / "gancourse"
    for name in ("checks/sets/game", "checks/sets/lsgan", "checks/core", "checks/probes", "grading/worker", "losses"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(f"# {name}\n")
    (package / "checks/sets/lsgan.py").write_text("from gancourse import losses\nfrom gancourse.checks.core import x\n")
    monkeypatch.setattr(journal, "PACKAGE", package)
    before = {word: journal.fingerprint([word]) for word in ("game", "lsgan")}
    assert before["game"] != before["lsgan"] and journal.fingerprint(["game"]) == before["game"]
    for changed, words in (
        ("losses", {"lsgan"}),
        ("checks/sets/game", {"game"}),
        ("checks/core", {"game", "lsgan"}),
        ("grading/worker", {"game", "lsgan"}),
    ):
        (package / f"{changed}.py").write_text("# another\n")
        after = {word: journal.fingerprint([word]) for word in before}
        assert {word for word in before if before[word] != after[word]} == words, changed
        before = after


def test_the_fingerprint_covers_what_a_verdict_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (read.append(self), real(self))[1])
    journal.fingerprint(["game"])
    found = {path.relative_to(journal.PACKAGE).as_posix() for path in read}
    rooms = {
        "checks": ("probes", "core"),
        "grading": ("worker", "zygote", "bindings", "cells", "notebooks", "isolation"),
    }
    assert {f"{room}/{name}.py" for room, names in rooms.items() for name in names} | {"checks/sets/game.py"} <= found
    assert "checks/sets/lsgan.py" not in found


def test_a_grading_is_not_mixed_with_one_by_other_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path / "in", 1)
    given = arguments(str(tmp_path / "in"), "--out", str(tmp_path / "g.csv"), "--set", "game")
    ran = []
    monkeypatch.setattr(command.Grading, "run", lambda self: ran.append(self.words))
    grading.run(given)
    grading.run(given)
    monkeypatch.setattr(command, "fingerprint", lambda words: "other")
    with pytest.raises(UserError, match="other code of the checks"):
        grading.run(given)
    assert ran == [["game"]] * 2


def found(*words: set[str]) -> Found:
    """Return files that name these sets."""
    return Found([Submission(f"{number}", f"{number}", words=frozenset(each)) for number, each in enumerate(words)])


def test_one_student_s_second_notebook_does_not_change_what_is_graded(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.choose_sets(found({"game"}, {"game"}, set())) == ["game"]
    assert "set: game" in capsys.readouterr().out
    for class_ in (({"game"}, {"game"}, {"lsgan"}), ({"game"}, {"lsgan"}), ({"game", "lsgan"},)):
        with pytest.raises(UserError, match=r"several sets.*game \(\d\), lsgan \(1\).*--set"):
            command.choose_sets(found(*class_))
        with pytest.raises(UserError, match="several sets"):
            command.choose_sets(found(*class_), "Set 3: games")
        assert command.choose_sets(found(*class_), "The game (set 1)") == ["game"]
        assert command.choose_sets(found(*class_), "07_lsgan") == ["lsgan"]
    assert command.choose_sets(found({"game"}), "A failure: the lsgan") == ["game"], "a title adds no set"
    with pytest.raises(UserError, match="Give --set"):
        command.choose_sets(found(set(), {"nothing known"}))


def test_several_sets_are_graded_when_that_is_asked_for() -> None:
    assert command.sets_of("game") == ["game"] and command.sets_of(None) == []
    assert command.sets_of("game, lsgan,game") == ["game", "lsgan"]
    with pytest.raises(UserError, match="Did you mean 'game'"):
        command.sets_of("lsgan,gam")


def test_the_whole_command_asks_for_the_set(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    hand_in(folder, 2)
    (folder / "s9.ipynb").write_text('{"cells": [], "metadata": {}}  check("lsgan.d_loss"')
    with pytest.raises(UserError, match=r"game \(2\), lsgan \(1\)"):
        grading.run(arguments(str(folder), "--out", str(tmp_path / "g.csv")))
    assert not (tmp_path / "g.csv").exists() and not list(tmp_path.glob("*.journal"))


def test_the_page_s_limits_are_the_grader_s() -> None:
    text = " ".join((made.ROOT / "book" / "instructors" / "grader.md").read_text(encoding="utf-8").split())
    assert f"Reading a file may take {reading.LIMITS.cpu} seconds of processor time" in text
    assert f"judging its answers {worker.SECONDS} together" in text
    assert reading.LIMITS.cpu + worker.SECONDS <= 25
    default = arguments("in", "--out", "out")
    assert f"{default.wall:g} seconds of time, {default.wall + 1:g} of processor time, {default.memory} MB" in text
