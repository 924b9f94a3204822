"""One training in one folder: the lock, who may take it over, and what a killed run leaves behind."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from gancourse import cli, files, locks, systems, training
from gancourse.errors import UserError
from gancourse.locks import FolderLock

CPU = torch.device("cpu")
OTHER_HOST = {"pid": 1, "started": "1", "host": "elsewhere", "boot": "b", "space": "s", "token": "t"}


def start(out, **kwargs):
    return training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, out=out, **{"steps": 10, **kwargs})


def put(folder: Path, age: float = 0.0, **entries) -> Path:
    """Write a lock whose last heartbeat is `age` seconds ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / files.LOCK
    path.write_text(json.dumps(OTHER_HOST | entries))
    beat = time.time() - age
    os.utime(path, (beat, beat))
    return path


def gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def child():
    """A process that runs until the test is over."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


# ---------------------------------------------------------------- two at once


def test_a_second_training_in_one_folder_is_refused(tmp_path, child, capsys):
    put(tmp_path / "k", pid=child.pid, started=locks._state(child.pid)[1], **locks.host())
    before = (tmp_path / "k" / files.LOCK).read_bytes()
    status = cli.main(["train", "ring-gan", "--profile", "smoke", "--resume", "--out", str(tmp_path / "k")])
    told = capsys.readouterr().err
    assert status == 1 and "Another training is at work" in told and f"process {child.pid}" in told
    assert told.count("\n") == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "k").iterdir()} == {files.LOCK: before}


def test_two_that_start_together_do_not_both_succeed(tmp_path):
    """The second is refused while the first trains, and the first's log has no foreign row."""
    first = start(tmp_path / "r", steps=20)
    refused = []

    def intrude(step, system):
        with pytest.raises(UserError, match="Another training is at work"):
            start(tmp_path / "r", steps=20, resume=True)
        refused.append(step)

    first.train(intrude)
    assert refused[:1] == [0]
    steps = [line.split(",")[0] for line in (tmp_path / "r" / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == ["1", "10", "20"]


@pytest.fixture
def strangers(monkeypatch):
    """Every thread acts as a process of its own, which knows nothing of the locks of the others."""
    monkeypatch.setattr(locks, "_mine", {})
    monkeypatch.setattr(locks, "_guard", contextlib.nullcontext())
    monkeypatch.setattr(FolderLock, "_key", lambda self: Path(self.token))
    monkeypatch.setattr(locks.os, "getpid", lambda: threading.get_native_id() + 10**7)
    monkeypatch.setattr(locks, "alive", lambda pid, since=None: True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def race(folder: Path, number: int = 8) -> tuple[list[FolderLock], list[str]]:
    """Let as many threads try to take the folder at once; return the locks taken and what the others were told."""
    gate, got, told = threading.Barrier(number), [], []

    def attempt():
        gate.wait()
        try:
            got.append(FolderLock(folder))
        except UserError as error:
            told.append(str(error))

    threads = [threading.Thread(target=attempt) for _ in range(number)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return got, told


@pytest.mark.parametrize("lock", ["stale", "stale, with a dead claim", "none"])
def test_of_many_exactly_one_gets_the_folder(tmp_path, strangers, lock):
    """Without the claim every second of these races over a stale lock had two winners."""
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        if lock != "none":
            put(folder, age=500)
        if lock.endswith("claim"):
            put(folder, age=500).rename(folder / files.CLAIM)
            put(folder, age=500)
        got, told = race(folder)
        assert (len(got), len(told)) == (1, 7)
        got[0].check()
        assert [p.name for p in folder.iterdir()] == [files.LOCK]
        got[0].release()


def test_a_claim_that_is_held_keeps_others_from_taking_over(tmp_path, child, monkeypatch):
    monkeypatch.setattr(locks, "_PAUSE", 0.0)
    put(tmp_path, age=500)
    claim = tmp_path / files.CLAIM
    claim.write_text(json.dumps({"pid": child.pid, "started": locks._state(child.pid)[1], **locks.host()}))
    with pytest.raises(UserError, match=f"Another training is at work.*process {child.pid} of this machine"):
        FolderLock(tmp_path)
    assert json.loads((tmp_path / files.LOCK).read_text()) == OTHER_HOST
    assert not files.contents(tmp_path, [])


def test_a_claim_whose_process_was_killed_is_no_hindrance(tmp_path):
    put(tmp_path, age=500)
    (tmp_path / files.CLAIM).write_text(json.dumps({"pid": gone(), **locks.host()}))
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_dead_claim_without_a_lock_is_cleared_away(tmp_path):
    (tmp_path / files.CLAIM).write_text(json.dumps({"pid": gone(), **locks.host()}))
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["_take_over", "_settled", "_move_away"])
@pytest.mark.parametrize(("error", "told"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError, UserError)])
def test_interrupted_while_it_takes_the_lock(tmp_path, monkeypatch, where, error, told):
    """A notebook's cell is stopped, or the disk fails, and its process lives on: nobody is left locked out."""

    def stop(*_):
        raise error

    put(tmp_path, age=500)
    monkeypatch.setattr(FolderLock, where, stop)
    with pytest.raises(told):
        FolderLock(tmp_path)
    monkeypatch.undo()
    left = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    assert left == ([] if where == "_settled" else [OTHER_HOST])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_another_thread_takes_a_lock(tmp_path):
    inside, on = threading.Event(), threading.Event()

    def hold():
        with locks._guard:
            inside.set()
            on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a deadlock ends so
        FolderLock(tmp_path).release()
        os._exit(0)
    on.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_heartbeat_never_alters_whose_lock_it_is(tmp_path, monkeypatch):
    """Where times cannot be set a heartbeat writes, and between its look and its writing the lock may change hands."""
    lock = FolderLock(tmp_path)
    mine, end = lock.path.read_text(), threading.Event()
    others = json.dumps(OTHER_HOST)

    def refuse(path):
        lock.path.write_text(others)
        end.set()
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(locks, "HEARTBEAT", 0.001)
    monkeypatch.setattr(locks.os, "utime", refuse)
    locks._beat(lock.path, lock.token, end)
    assert lock.path.read_text() == others != mine


def test_a_lock_is_gone_after_the_training_and_after_an_error(tmp_path):
    start(tmp_path / "a").train()
    assert not (tmp_path / "a" / files.LOCK).exists()
    start(tmp_path / "b")  # never trained, and forgotten
    gc.collect()
    assert not (tmp_path / "b" / files.LOCK).exists()

    def stop(step, system):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "c").train(stop)
    assert not (tmp_path / "c" / files.LOCK).exists()
    with pytest.raises(UserError, match="holds another run"):
        start(tmp_path / "a", seed=9, resume=True)
    assert not (tmp_path / "a" / files.LOCK).exists()


def test_a_cell_that_is_run_again_takes_its_folder_over(tmp_path):
    first = start(tmp_path)
    second = start(tmp_path, resume=True)
    with pytest.raises(UserError, match="newer run has taken"):
        first.train()
    second.train()
    with pytest.raises(UserError, match="newer run has taken"):
        first.train()


# ---------------------------------------------------------------- an honest resume is never delayed


@pytest.mark.parametrize("age", [0, 30, 500])
def test_a_process_of_this_host_that_is_gone_is_no_holder(tmp_path, age):
    put(tmp_path, age, pid=gone(), **locks.host())
    FolderLock(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_killed_process_that_nobody_has_waited_for_is_gone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    since = locks._state(process.pid)[1]
    assert locks.alive(process.pid, since)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    put(tmp_path, pid=process.pid, started=since, **locks.host())
    FolderLock(tmp_path).release()
    process.wait()


def test_a_number_that_another_process_has_now_is_no_holder(tmp_path, child):
    put(tmp_path, pid=child.pid, started="12345", **locks.host())
    FolderLock(tmp_path).release()


def test_an_earlier_process_of_our_own_number_is_no_holder(tmp_path):
    """In a container that is started again, the training may have the same number each time."""
    put(tmp_path, pid=os.getpid(), started="1", **locks.host())
    FolderLock(tmp_path).release()


@pytest.mark.parametrize(("age", "free"), [(0, False), (100, False), (130, True), (10**6, True), (-50, False)])
def test_another_host_holds_for_two_minutes(tmp_path, age, free):
    put(tmp_path, age)
    if free:
        FolderLock(tmp_path).release()
    else:
        with pytest.raises(UserError, match="of elsewhere; if that session is over, the folder is free in"):
            FolderLock(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ([] if free else [files.LOCK])


def test_the_same_host_after_a_restart(tmp_path, monkeypatch):
    here = locks.host() | {"boot": "before"}
    put(tmp_path, 60, **here)
    monkeypatch.setattr(locks, "boot_time", lambda: time.time() - 3600)
    with pytest.raises(UserError, match="Another training"):  # a namesake that beats
        FolderLock(tmp_path)
    monkeypatch.setattr(locks, "boot_time", lambda: time.time() - 30)
    FolderLock(tmp_path).release()


def test_a_container_of_the_same_name_is_another_host(tmp_path, child):
    put(tmp_path, 0, **(locks.host() | {"space": "pid:[1]", "pid": gone()}))
    with pytest.raises(UserError, match="Another training"):
        FolderLock(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}', "\x00\xff"])
def test_a_lock_that_says_nothing_counts_for_two_minutes(tmp_path, text):
    path = put(tmp_path)
    path.write_text(text)
    with pytest.raises(UserError, match="unknown host"):
        FolderLock(tmp_path)
    os.utime(path, (time.time() - 121,) * 2)
    FolderLock(tmp_path).release()


# ---------------------------------------------------------------- file systems without this and that


@pytest.mark.parametrize("missing", ["link", "utime", "both"])
def test_without_links_and_times_it_holds_too(tmp_path, monkeypatch, missing):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("link", "utime"):
        if missing in (name, "both"):
            monkeypatch.setattr(locks.os, name, refuse)
    lock = FolderLock(tmp_path)
    text = lock.path.read_text()
    with monkeypatch.context() as other:  # as another process sees it
        other.setattr(locks, "_mine", {})
        other.setattr(locks.os, "getpid", lambda: 1)
        with pytest.raises(UserError, match=f"process {json.loads(text)['pid']} of this machine"):
            FolderLock(tmp_path)
    end = threading.Event()
    monkeypatch.setattr(locks, "HEARTBEAT", 0.001)
    beats = []
    monkeypatch.setattr(locks, "_read", lambda path: beats.append(1) or (end.set() if len(beats) > 2 else None) or text)
    locks._beat(lock.path, lock.token, end)
    monkeypatch.undo()
    assert lock.path.read_text() == text
    lock.release()
    assert not list(tmp_path.iterdir())


def test_a_heartbeat_moves_the_time_of_the_file(tmp_path, monkeypatch):
    lock = FolderLock(tmp_path)
    os.utime(lock.path, (1, 1))
    end = threading.Event()
    monkeypatch.setattr(locks, "HEARTBEAT", 0.001)
    real = os.utime
    monkeypatch.setattr(locks.os, "utime", lambda path: (real(path), end.set()))
    locks._beat(lock.path, lock.token, end)
    assert lock.path.stat().st_mtime > 10**6


def test_who_was_taken_over_stops_and_writes_nothing_more(tmp_path):
    run = start(tmp_path / "r", steps=30)

    def lose(step, system):
        if step == 20:
            (tmp_path / "r" / files.LOCK).write_text(json.dumps(OTHER_HOST))

    with pytest.raises(UserError, match="has taken over"):
        run.train(lose)
    assert training.read_checkpoint(tmp_path / "r" / "checkpoint.pt")["step"] == 10
    assert json.loads((tmp_path / "r" / files.LOCK).read_text()) == OTHER_HOST


def test_a_lock_that_was_tidied_away_is_put_back(tmp_path):
    run = start(tmp_path / "r", steps=30)

    def tidy(step, system):
        (tmp_path / "r" / files.LOCK).unlink(missing_ok=True)

    run.train(tidy)
    assert run.step == 30 and not (tmp_path / "r" / files.LOCK).exists()


def test_a_fork_does_not_take_its_parents_lock_away(tmp_path):
    lock = FolderLock(tmp_path)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert lock.path.exists()
    lock.check()


# ---------------------------------------------------------------- neither foreign nor published


def test_a_stale_lock_junk_and_leftovers_do_not_fill_a_folder(tmp_path):
    put(tmp_path, age=500)
    for name in (".checkpoint.pt.x.tmp", ".config.json.abcdefgh.tmp", ".DS_Store", "Thumbs.db", "desktop.ini", "._a"):
        (tmp_path / name).touch()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".step_000020.png.abc.tmp").touch()
    with pytest.raises(UserError, match="not empty"):
        start(tmp_path)  # a folder of samples is something
    (tmp_path / "samples" / ".step_000020.png.abc.tmp").rename(tmp_path / ".metrics.csv.q.tmp")
    (tmp_path / "samples").rmdir()
    start(tmp_path).train()
    assert not list(tmp_path.rglob("*.tmp")) and (tmp_path / ".DS_Store").exists()


def test_leftovers_of_samples_are_removed_on_resume(tmp_path):
    start(tmp_path).train()
    left = [tmp_path / "samples" / ".step_000020.png.abc.tmp", tmp_path / ".checkpoint.pt.x.tmp"]
    for path in left:
        path.touch()
    mine = tmp_path / ".thesis.tex.x.tmp"
    mine.touch()
    start(tmp_path, resume=True)
    assert not any(path.exists() for path in left) and mine.exists()


@pytest.mark.parametrize("name", ["x", "abcdefgh", "q_1"])
def test_the_case_of_the_bug_report(tmp_path, name, capsys):
    """mkdir k; touch k/.checkpoint.pt.x.tmp; train … --resume --out k"""
    (tmp_path / f".checkpoint.pt.{name}.tmp").touch()
    start(tmp_path, resume=True).train()
    assert (tmp_path / "checkpoint.pt").exists() and not list(tmp_path.glob(".*.tmp"))


def test_publishing_takes_no_lock_along():
    import publish_run

    assert files.LOCK not in publish_run.SHIPPED and files.LOCK not in training.RUN_FILES
    assert not any(files.LOCK in published for published in __import__("gancourse.hub").hub.registry().values())


# ---------------------------------------------------------------- killed within the checkpoint's write

KILLER = """
import os, signal, sys
from gancourse import cli, files
moment, number = sys.argv[1], int(sys.argv[2])
real = {"fsync": os.fsync, "replace": os.replace, "chmod": os.chmod}
seen = [0]

def die(path):
    if "checkpoint.pt" in str(path):
        seen[0] += 1
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

def fsync(handle):
    path = os.readlink(f"/proc/self/fd/{handle}")
    if moment == "half" and "checkpoint.pt" in path and seen[0] + 1 == number:
        os.ftruncate(handle, 1000)
    if moment in ("half", "before fsync"):
        die(path)
    real["fsync"](handle)

def replace(source, target, **more):
    if moment == "before rename":
        die(target)
    real["replace"](source, target, **more)
    if moment == "after rename":
        die(target)

os.fsync, os.replace = fsync, replace
cli.main(sys.argv[3:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks up open files in /proc")
@pytest.mark.parametrize(
    ("moment", "number"),
    [("half", 1), ("before fsync", 2), ("before rename", 1), ("before rename", 3), ("after rename", 2)],
)
def test_killed_within_the_write_of_a_checkpoint_and_resumed(tmp_path, whole, moment, number):
    out = tmp_path / "broken"
    train = [*TRAIN, "--out", str(out)]
    child = os.fork()  # quicker than a process that imports torch anew
    if child == 0:
        try:
            sys.argv = ["kill", moment, str(number), *train, "--resume"]
            exec(compile(KILLER, "killer", "exec"), {})
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (out / files.LOCK).exists()
    assert (out / "checkpoint.pt").exists() == (moment == "after rename" or number > 1)
    assert bool(list(out.glob(".checkpoint.pt.*.tmp"))) == (moment != "after rename")
    assert cli.main([*train, "--resume"]) == 0
    assert not list(out.rglob("*.tmp")) and not (out / files.LOCK).exists()
    for name in ("generator.safetensors", "config.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


TRAIN = ["train", "ring-gan", "--profile", "smoke", "--seed", "7", "--quiet", "--device", "cpu", "--set", "steps=40"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody has killed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert cli.main([*TRAIN, "--out", str(folder)]) == 0
    return folder
