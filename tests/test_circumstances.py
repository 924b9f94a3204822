"""Where people really run it: closed pipes, odd terminals, no home, cloud drives, wrong settings, edited files.

Each case is a report of somebody's, with its neighbours. What needs a process of its own loads no torch.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import main

from gancourse import cli, console, errors, evaluation, files, hub, runtime, systems, training
from gancourse.errors import UserError

CPU = torch.device("cpu")
LIGHT = [sys.executable, "-m", "gancourse"]
TRAIN = ["train", "ring-gan", "--profile", "smoke", "--device", "cpu", "--set", "steps=20"]


def environment(**changes):
    """Return this process's environment without PYTHONUNBUFFERED, which hides what a buffer does."""
    return {k: v for k, v in (os.environ | changes).items() if k != "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished smoke run of the ring."""
    folder = tmp_path_factory.mktemp("runs") / "a run"
    assert cli.main([*TRAIN, "--seed", "3", "--quiet", "--out", str(folder)]) == 0
    return folder


def copy_of(run, folder, *names):
    folder.mkdir()
    for name in names or ("config.json", "generator.safetensors", "metrics.csv"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


# ---------------------------------------------------------------- who reads, and on what


@pytest.fixture
def closed_pipe():
    """A text stream into a pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w", encoding="utf-8")
    yield stream
    try:
        stream.close()
    except OSError:
        pass


@pytest.mark.parametrize("words", ["list", "exercises list", "--help"])
def test_a_reader_who_leaves_is_no_error(words, closed_pipe):
    done = subprocess.run(
        [*LIGHT, *words.split()], stdout=closed_pipe, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["list --json", "train -h"])
def test_output_that_cannot_be_written_is_an_error_in_a_sentence(words):
    with open("/dev/full", "w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        done = subprocess.run([*LIGHT, *words.split()], **streams, text=True, env=environment())
    assert done.returncode == 1
    assert re.fullmatch(r"gancourse: The output could not be written: .+\.\n", done.stderr)


@pytest.mark.parametrize("both", [False, True])
def test_a_training_whose_reader_goes_away_is_finished(tmp_path, closed_pipe, monkeypatch, both):
    monkeypatch.setattr(sys, "stdout", closed_pipe)
    if both:
        monkeypatch.setattr(sys, "stderr", closed_pipe)
    assert cli.main([*TRAIN, "--out", str(tmp_path / "r")]) == 0
    assert (tmp_path / "r" / "card.md").exists()
    assert sys.stdout is closed_pipe  # put back


def test_a_training_whose_output_is_lost_is_finished_and_says_so(tmp_path, monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main([*TRAIN, "--out", str(tmp_path / "r")]) == 1
    assert (tmp_path / "r" / "card.md").exists()
    assert "could not be written: No space left" in capsys.readouterr().err


def test_a_process_without_output_works(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["list"]) == 0


@pytest.mark.parametrize("encoding", ["cp850", "ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("words", ["exercises list optimum", "list"])
def test_signs_that_a_terminal_lacks_are_replaced(words, encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert cli.main(words.split()) == 0
    assert (b"?" in raw.getvalue()) == ("optimum" in words)


def test_other_entry_points_replace_signs_too():
    program = "from gancourse import console\nconsole.entry(lambda: print('\\u2705 digit \\u2026'))"
    narrow = environment(PYTHONIOENCODING="cp850")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=narrow)
    assert done.returncode == 0 and done.stdout.split() == [b"?", b"digit", b"?"]
    source = Path(__file__).parents[1].joinpath("gancourse/datasets/idx.py").read_text(encoding="utf-8")
    assert "console.entry(" in source


def test_a_check_in_a_script_shows_what_it_can(monkeypatch):
    from gancourse.checks import check

    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    check("game.nothing", 1)
    assert raw.getvalue().startswith(b"? Unknown exercise")


def test_names_with_odd_bytes_can_be_printed(capsys):
    stream = console.Stream(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    stream.write("runs/\udcff\n")
    stream.flush()
    assert stream.buffer.getvalue() == b"runs/?\n" and stream.lost is None


# ---------------------------------------------------------------- no home, no cache


def test_doctor_without_a_home(monkeypatch, capsys):
    for name in ("HOME", "XDG_CACHE_HOME", "GANCOURSE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    pwd = pytest.importorskip("pwd")

    def unknown(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    status, out, _ = main(capsys, "doctor")
    assert status == 0 and "this user has no home directory" in out and files.home() is None


@pytest.mark.parametrize(
    ("variables", "folder", "why"),
    [
        ({"GANCOURSE_CACHE": "MINE"}, "MINE", ""),
        ({"GANCOURSE_CACHE": "~nouser-of-this-name/x"}, None, "does not know"),
        ({"GANCOURSE_CACHE": "FILE/x"}, None, "cannot be written"),
        ({"XDG_CACHE_HOME": "MINE"}, "MINE/gancourse", ""),
        ({"XDG_CACHE_HOME": "relative", "HOME": "MINE"}, "MINE/.cache/gancourse", ""),
        ({"HOME": "MINE"}, "MINE/.cache/gancourse", ""),
        ({"HOME": "FILE"}, None, "cannot be written"),
        ({"HOME": "relative"}, None, "no home"),
    ],
)
def test_every_cache_falls_back_with_a_reason(tmp_path, monkeypatch, variables, folder, why):
    (tmp_path / "FILE").touch()
    for name in ("GANCOURSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def placed(text):
        return re.sub("MINE|FILE", lambda match: str(tmp_path / match[0]), text)

    for name, value in variables.items():
        monkeypatch.setenv(name, placed(value))
    found, told = files.cache()
    assert found == (Path(placed(folder)) if folder else files.spare_cache())
    assert why in told and bool(told) == bool(why)


def test_reference_runs_are_kept_in_the_cache_that_is_named(tmp_path, monkeypatch, capsys):
    import hashlib

    import pooch

    def retrieve(url, known, fname, path, progressbar):
        (Path(path) / fname).write_bytes(b"{}")
        return str(Path(path) / fname)

    monkeypatch.setattr(hub, "CHECKOUT_RUNS", tmp_path / "none")
    monkeypatch.setattr(hub, "registry", lambda: {"some-run": {"config.json": hashlib.sha256(b"{}").hexdigest()}})
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "mine"))
    assert hub.find("some-run") == tmp_path / "mine" / "runs" / "some-run"
    monkeypatch.setattr(pooch, "retrieve", None)
    assert hub.find("some-run") == tmp_path / "mine" / "runs" / "some-run"  # without the network
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "file" / "x"))
    assert hub.find("some-run").is_relative_to(files.spare_cache())
    told = capsys.readouterr().err
    assert "cannot be written" in told and "connection" not in told


def test_a_tilde_that_the_shell_has_left_is_a_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cli._path("~/runs/a") == tmp_path / "runs" / "a" == training.folder("~/runs/a")
    status, _, err = main(capsys, *TRAIN, "--out", "~nouser-of-this-name/x")
    assert status == 2 and "does not know" in err and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="does not know"):
        training.folder("~nouser-of-this-name/x")


# ---------------------------------------------------------------- settings that do not fit


@pytest.mark.parametrize(
    ("recipe", "setting", "told"),
    [
        ("digits-mlp", "data=ring", "comes in the shape (2,)"),
        ("digits-mlp", "sample_shape=[1,64,64]", "comes in the shape (1, 28, 28) or (1, 32, 32)"),
        ("digits-mlp", "sample_shape=28", "must be a list"),
        ("digits-mlp", "sample_shape=[-1,28,28]", "out of range"),
        ("digits-mlp", "sample_shape=[28,28]", "comes in the shape"),
        ("ring-gan", "data=digits", "comes in the shape (1, 28, 28)"),
        ("ring-gan", "sample_shape=[3]", "comes in the shape (2,)"),
        ("ring-gan", "data=5", "must be the name of a data set"),
        ("ring-gan", "data=rng", "Did you mean 'ring'?"),
        ("ring-cgan", "data=spiral", "needs labels"),
        ("ring-cgan", "data=grid", "does not fit 8 classes"),
        ("digits-cgan", "data=ring", "comes in the shape (2,)"),
        ("digits-lsgan", "data=moons", "comes in the shape (2,)"),
        ("ring-gan", "loss={}", "Unknown loss '{}'"),
        ("ring-gan", "k={1}", "k='{1}' must be a whole number"),
        ("ring-gan", "g_widths=((((", "must be a list"),
    ],
)
def test_a_setting_that_does_not_fit_is_told_before_anything_is_written(tmp_path, capsys, recipe, setting, told):
    out = tmp_path / "new" / "run"
    status, _, err = main(capsys, "train", recipe, "--profile", "smoke", "--set", setting, "--out", out)
    assert status == 1 and told in err and "Traceback" not in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", systems.names())
def test_every_recipe_refuses_data_of_another_shape(tmp_path, name):
    recipe = systems.recipe(name)
    other = "digits" if recipe.config.shape == (2,) else "ring"
    with pytest.raises(UserError, match="comes in the shape"):
        training.Run(recipe, profile="smoke", device=CPU, out=tmp_path / "r", data=other, quiet=True)
    assert not (tmp_path / "r").exists()


def test_a_source_of_ones_own_is_compared_too(tmp_path):
    from gancourse.datasets.source import Source

    for x in (torch.zeros(100, 3), torch.zeros(100, 28, 28, 1, dtype=torch.uint8)):
        with pytest.raises(UserError, match="has samples of the shape"):
            training.Run(
                systems.recipe("ring-gan"),
                profile="smoke",
                device=CPU,
                out=tmp_path / "r",
                source=Source("mine", "mine", x),
            )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999", str(2**32)])
@pytest.mark.parametrize(
    "words", [["train", "ring-gan"], ["train", "digits-judge"], ["sample", "RUN"], ["evaluate", "RUN"]]
)
def test_one_check_of_seeds_for_all(tmp_path, capsys, monkeypatch, run, words, seed):
    monkeypatch.chdir(tmp_path)
    out = ["--out", "x.npz"] if words[0] == "sample" else []
    status, _, err = main(capsys, *[run if w == "RUN" else w for w in words], *out, "--seed", seed)
    assert status == 1 and err == f"gancourse: A seed is a whole number from 0 to 2**32 - 1, got {seed}.\n"
    assert not list(tmp_path.iterdir())


def test_seeds_in_python():
    import numpy as np

    system = hub.load("ring-gan", CPU).system
    for seed in (-1, 2**32, 1.5, True, None, "3"):
        for call in (lambda s: system.draw(3, seed=s), lambda s: system.sheet(seed=s), runtime.seed_everything):
            with pytest.raises(UserError, match="A seed is a whole number"):
                call(seed)
        with pytest.raises(UserError, match="A seed is a whole number"):
            training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, seed=seed)
    assert torch.equal(system.sample(3, seed=np.int64(5)), system.sample(3, seed=5))
    assert errors.check_seed(np.uint32(7)) == 7


@pytest.mark.parametrize("name", ["gpu", "GPU", "gpu:0", "nvidia", "metal"])
def test_a_gpu_by_another_name(name):
    with pytest.raises(UserError, match="PyTorch calls a GPU") as error:
        runtime.device(name)
    assert "'cpu'" not in str(error.value)


def test_devices_that_are_not_counted():
    assert runtime.device("CPU") == torch.device("cpu") and runtime.device("cpu:0").type == "cpu"
    with pytest.raises(UserError, match="from 0 to 0"):
        runtime.device("cpu:7")


def test_the_banner_says_what_is_trained(tmp_path, capsys):
    status, out, _ = main(capsys, *TRAIN, "--out", tmp_path / "r")
    assert status == 0 and "smoke: 20 steps" in out and "60 steps" not in out and "without your changes" in out
    assert "device   CPU" in out
    assert "without" not in systems.recipe("ring-gan").banner("smoke")


@pytest.mark.parametrize("name", ["x.jpg", "x.pdf", "x", "x.png.gz"])
def test_a_picture_of_another_form_is_refused(tmp_path, run, capsys, name):
    status, _, err = main(capsys, "sample", run, "--png", tmp_path / name)
    assert status == 1 and "should end in .png" in err and not list(tmp_path.iterdir())


# ---------------------------------------------------------------- measuring


def test_no_samples_are_not_the_usual_number(run, capsys):
    status, out, err = main(capsys, "evaluate", run, "--n", 0)
    assert status == 1 and "n=0 is out of range" in err and not out


def test_few_samples_are_said_to_be_incomparable(run, capsys):
    status, out, err = main(capsys, "evaluate", run, "--n", 100, "--json")
    assert status == 0 and "not comparable" in err and "2,500" in err and json.loads(out)["samples"] == 100
    status, _, err = main(capsys, "evaluate", run)
    assert status == 0 and "comparable" not in err


def test_pages_at_smoke_are_quiet(run, capsys, monkeypatch):
    system = hub.load(run, CPU).system
    evaluation.evaluate(system, n=100)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    evaluation.evaluate(system, n=100)
    assert "not comparable" in capsys.readouterr().err
    evaluation.evaluate(system, n=100, quiet=True)
    evaluation.evaluate(system)
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- file systems


def refuse(number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
@pytest.mark.parametrize("what", ["chmod", "fsync", "both"])
def test_only_writing_and_renaming_must_work(tmp_path, monkeypatch, what, number):
    for name in ("chmod", "fsync"):
        if what in (name, "both"):
            monkeypatch.setattr(files.os, name, refuse(number))
    runtime.write_atomic(tmp_path / "a", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"new"}


@pytest.mark.parametrize(
    ("what", "number", "told"),
    [
        ("replace", errno.EACCES, "No permission"),
        ("replace", errno.EIO, "Could not write"),
        ("fsync", errno.ENOSPC, "disk is full"),
        ("fsync", errno.EDQUOT, "disk is full"),
        ("fsync", errno.EIO, "Could not write"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, what, number, told):
    runtime.write_atomic(tmp_path / "a", b"old")
    monkeypatch.setattr(files.os, what, refuse(number))
    with pytest.raises(UserError, match=told):
        runtime.write_atomic(tmp_path / "a", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old"}


def test_the_notebooks_and_the_grader_write_there_too(tmp_path, monkeypatch):
    import chapters
    from nbformat.v4 import new_notebook

    from gancourse.grading.journal import write_whole

    for name in ("chmod", "fsync"):
        monkeypatch.setattr(files.os, name, refuse(errno.ENOTSUP))
    chapters.write(tmp_path / "a.ipynb", new_notebook())
    write_whole(tmp_path / "b.csv", "x")
    assert {p.name for p in tmp_path.iterdir()} == {"a.ipynb", "b.csv"}


def test_leftovers_are_removed_wherever_a_file_is_written(tmp_path, run, capsys):
    left = [tmp_path / name for name in (".s.npz.abcd.tmp", ".p.png.x.tmp")]
    others = [tmp_path / name for name in (".t.npz.abcd.tmp", ".s.npz", "s.npz.tmp")]
    for path in left + others:
        path.touch()
    assert main(capsys, "sample", run, "--out", tmp_path / "s.npz", "--png", tmp_path / "p.png")[0] == 0
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


def test_a_temporary_file_that_another_process_swept_is_written_again(tmp_path, monkeypatch):
    real, swept = os.replace, []

    def replace(source, target):
        if not swept:
            swept.append(os.unlink(source))
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    runtime.write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(UserError, match="Could not write"):
        runtime.write_atomic(tmp_path / "nowhere" / "a", b"new")


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "Thumbs.db", "desktop.ini", "._checkpoint.pt", ".ipynb_checkpoints", ".nfs000012ab", "lost+found"]
    + ["Desktop.ini", ".directory", ".fuse_hidden0001", ".Trash-1000"],
)
def test_what_desktops_and_file_systems_leave_is_not_foreign(tmp_path, name):
    (tmp_path / name).touch()
    assert files.contents(tmp_path, training.RUN_FILES) == []
    training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, out=tmp_path, steps=10).lock.release()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["notes.txt", ".env", ".checkpoint.pt.swp", "checkpoint.pt.x.tmp", ".thesis.x.tmp"])
def test_what_is_somebody_s_is_foreign(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for resume, told in ((False, "not empty"), (True, "does not look like a run")):
        with pytest.raises(UserError, match=told):
            training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, out=tmp_path, resume=resume)
    assert [p.name for p in tmp_path.iterdir()] == [name]


# ---------------------------------------------------------------- "run this" can be run


def commands(text):
    """Return the gancourse commands that a message prints, as words."""
    return [shlex.split(line)[1:] for line in re.findall(r"gancourse (?:train|sample|evaluate) .*", text)] and [
        shlex.split(found)[1:] for found in re.findall(r"(gancourse (?:train|sample|evaluate) [^`\n]*)", text)
    ]


def test_finish_it_finishes_it(tmp_path, capsys, monkeypatch):
    """A path with blanks and quotes, another profile, seed and settings than the usual ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANCOURSE_PROFILE", "cpu")
    folder = tmp_path / "my 'first' run; $HOME"
    settings = {"steps": 20, "g_widths": (16, 16), "loss": "minimax", "g_lr": 1e-3, "d_norm": "spectral"}

    class Stop(Exception):
        pass

    def stop(step, system):
        if step == 20:
            raise Stop

    broken = training.Run(
        systems.recipe("ring-gan"), profile="smoke", device=CPU, seed=5, out=folder, sample_every=20, **settings
    )
    with pytest.raises(Stop):
        broken.train(stop)
    status, _, err = main(capsys, "sample", folder, "--png", "a.png")
    ((*words,),) = commands(err)
    assert status == 1 and "Finish it" in err
    assert main(capsys, *words)[0] == 0
    assert main(capsys, "sample", folder, "--png", "a.png")[0] == 0 and Path("a.png").exists()


def test_networks_that_no_command_can_ask_for_are_finished_in_python(tmp_path, run, capsys):
    folder = copy_of(run, tmp_path / "other", "config.json")
    record = json.loads((folder / "config.json").read_text())
    record["config"]["networks"] = "networks.ConditionalMLP"
    with pytest.raises(UserError, match="in Python"):
        hub.resume_command(record, folder)


def test_an_unpublished_run_is_trained_by_the_command(monkeypatch):
    monkeypatch.setattr(hub, "registry", lambda: {})
    with pytest.raises(UserError) as error:
        hub.find("ring-gan")
    ((*words,),) = commands(str(error.value))
    assert vars(cli.build_parser().parse_args(words))["out"] is None


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_stopped_training_says_how_to_go_on(tmp_path, capsys, monkeypatch, more):
    out = tmp_path / "a b"
    with monkeypatch.context() as stopped:
        stopped.setattr(training.Run, "_log", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        status, _, err = main(capsys, *TRAIN, "--out", out, *more)
    ((*words,),) = commands(err)
    assert status == 130 and words.count("--resume") == 1
    assert main(capsys, *words)[0] == 0 and (out / "card.md").exists()


def test_a_full_disk_is_told_to_each_command_in_its_own_way(tmp_path, run, capsys, monkeypatch):
    full = refuse(errno.ENOSPC)
    with monkeypatch.context() as disk:
        disk.setattr(files, "_replace", full)
        status, _, err = main(capsys, "sample", run, "--out", tmp_path / "x.npz")
        assert status == 1 and "disk is full" in err and "resume" not in err
        status, _, err = main(capsys, *TRAIN, "--out", tmp_path / "r")
    ((*words,),) = commands(err)
    assert status == 1 and "disk is full" in err
    assert main(capsys, *words)[0] == 0


def test_a_folder_that_was_removed_under_us(tmp_path, capsys, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(capsys, "list")[0] == 0
    status, _, err = main(capsys, "doctor")
    monkeypatch.chdir(tmp_path)
    assert status == 1 and "not there any more" in err


# ---------------------------------------------------------------- edited and damaged files


@pytest.fixture
def copy(run, tmp_path):
    return copy_of(run, tmp_path / "copy")


def edit(folder, change):
    path = folder / "config.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r["config"].update(g_widths=[8, 8]), "does not fit its config.json (size mismatch"),
        (lambda r: r["config"].update(steps="60"), "steps='60' must be a whole number"),
        (lambda r: r["config"].update(data=3), "data=3 must be the name"),
        (lambda r: r["config"].update(g_widths=None), "must be a list"),
        (lambda r: r["config"].update(networks=4), "of a kind that this package does not have"),
        (lambda r: r["config"].pop("k"), "lacks k"),
        (lambda r: r.update(config=[1]), "config=[1] is not a list of hyper-parameters"),
        (lambda r: r.update(seed="3"), "seed='3' is not a whole number"),
        (lambda r: r.update(recipe=5), "recipe=5 is not a name"),
        (lambda r: r.update(recipe="ring"), "Unknown recipe 'ring'"),
        (lambda r: r.pop("profile"), "damaged or was not written"),
    ],
)
def test_an_edited_record_is_told(copy, capsys, tmp_path, change, told):
    edit(copy, change)
    before = (copy / "config.json").read_bytes()
    for command in (["sample", copy, "--out", tmp_path / "x.npz"], ["evaluate", copy]):
        status, _, err = main(capsys, *command)
        assert status == 1 and told in err and "Traceback" not in err
    assert (copy / "config.json").read_bytes() == before


@pytest.mark.parametrize("text", ["[]", "3", "null", "", "[" * 100_000])
def test_a_record_that_is_none_is_told(copy, capsys, text):
    (copy / "config.json").write_text(text)
    status, _, err = main(capsys, "evaluate", copy)
    assert status == 1 and "was not written by this package" in err


def test_a_byte_order_mark_does_no_harm(copy, capsys):
    path = copy / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert main(capsys, "evaluate", copy)[0] == 0


@pytest.mark.parametrize("how", ["edited", "gone", "no json"])
def test_a_record_that_disagrees_with_the_checkpoint_is_written_anew(run, tmp_path, how):
    folder = copy_of(run, tmp_path / "copy", "config.json", "checkpoint.pt")
    before = (folder / "config.json").read_bytes()
    if how == "edited":
        edit(folder, lambda record: record["config"].update(g_widths=[8, 8]))
    else:
        (folder / "config.json").write_text("{") if how == "no json" else (folder / "config.json").unlink()
    with pytest.warns(UserWarning, match="The checkpoint counts"):
        training.Run(
            systems.recipe("ring-gan"), profile="smoke", device=CPU, seed=3, out=folder, resume=True, steps=20
        ).train()
    assert (folder / "config.json").read_bytes() == before


def resumed(run, folder, **changes):
    """Resume a copy of a run whose checkpoint was changed."""
    copy_of(run, folder, "config.json", "checkpoint.pt")
    path = folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True) | changes
    torch.save({key: value for key, value in state.items() if value is not None}, path)
    before = path.read_bytes()
    with pytest.raises(UserError) as error:
        training.Run(systems.recipe("ring-gan"), profile="smoke", device=CPU, seed=3, out=folder, resume=True, steps=20)
    assert path.read_bytes() == before and not (folder / files.LOCK).exists()
    return str(error.value)


@pytest.mark.parametrize("number", [3, 4, 100])
def test_a_checkpoint_of_a_newer_format_is_told(run, tmp_path, number):
    told = resumed(run, tmp_path / "c", format=f"gancourse checkpoint {number}")
    assert "newer version" in told and str(number) in told


@pytest.mark.parametrize("form", ["gancourse checkpoint", "other program 3", 3, ["a"]])
def test_a_checkpoint_of_no_format_is_foreign(run, tmp_path, form):
    assert "not a checkpoint of this package" in resumed(run, tmp_path / "c", format=form)


@pytest.mark.parametrize("part", training.PARTS)
def test_a_checkpoint_without_a_part_is_told(run, tmp_path, part):
    assert f"it lacks {part}" in resumed(run, tmp_path / "c", **{part: None})


@pytest.mark.parametrize(
    "changes",
    [{"networks": {}}, {"networks": 3}, {"optimizers": []}, {"average": {}}, {"batches": {}}, {"random": {"torch": 1}}]
    + [{"unlogged": {}}],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_told(run, tmp_path, changes):
    assert "damaged, or of a system that was changed" in resumed(run, tmp_path / "c", **changes)
