"""The command line: what it prints, how it fails, and that a failure destroys nothing."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import main

from gancourse import cli, hub, systems
from gancourse.errors import UserError

RUN = [sys.executable, "-m", "gancourse"]


def call(*arguments, **environment):
    return subprocess.run(
        [*RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "GANCOURSE_PROFILE": "smoke", "CI": "true", "OMP_NUM_THREADS": "1", **environment},
        timeout=600,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished smoke run of the ring."""
    folder = tmp_path_factory.mktemp("runs") / "ring"
    assert (
        cli.main(["train", "ring-gan", "--profile", "smoke", "--out", str(folder), "--quiet", "--device", "cpu"]) == 0
    )
    return folder


# ---------------------------------------------------------------- quick and light


def imported_by(*words):
    """Return the modules that a Python with these arguments imports, in a process of its own."""
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return [line.rpartition("|")[2].strip() for line in lines[1:]]


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["list", "--json"]])
def test_list_and_help_import_little(arguments):
    """They should answer at once. What takes time is imports: they are counted; tests/bench_start.py has seconds."""
    bare, found = imported_by("-c", ""), imported_by(*RUN[1:], *arguments)
    more = set(found) - set(bare)
    assert not {name for name in more if name.split(".")[0] in ("torch", "numpy", "matplotlib", "PIL", "nbformat")}
    assert "gancourse.cli" in more and len(more) <= 90, sorted(more)


def loaded_after(code):
    script = f"{code}\nimport sys\nprint(*sorted(m for m in sys.modules if '.' not in m))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_listing_loads_no_torch():
    code = "from gancourse import cli\ncli.main(['list'])"
    assert not {"torch", "numpy", "matplotlib"} & set(loaded_after(code))


def test_training_the_ring_never_imports_torchvision(tmp_path):
    arguments = ["train", "ring-gan", "--profile", "smoke", "--quiet", "--out", str(tmp_path / "r")]
    code = f"from gancourse import cli\ncli.main({arguments!r})"
    assert "torchvision" not in loaded_after(code)


def test_module_and_command_are_the_same():
    assert call("list").stdout == call("list").stdout != ""
    for name in systems.names():
        assert name in call("list").stdout


# ---------------------------------------------------------------- the run directory


def test_train_writes_the_run_directory(run):
    assert {p.name for p in run.iterdir()} == {
        "config.json", "metrics.csv", "samples", "checkpoint.pt", "generator.safetensors", "card.md"
    }  # fmt: skip
    rows = (run / "metrics.csv").read_text().splitlines()
    assert rows[0] == "step,seconds,d_loss,g_loss,d_real,d_fake,d_fake_after"
    assert rows[-1].startswith("60,")
    assert [p.name for p in sorted((run / "samples").iterdir())] == [f"step_{step:06d}.png" for step in (0, 20, 40, 60)]
    record = json.loads((run / "config.json").read_text())
    assert record["recipe"] == "ring-gan" and record["seed"] == 0 and record["versions"]["torch"] == torch.__version__
    assert "| modes |" in (run / "card.md").read_text()


def test_generator_file_holds_no_time_and_no_path(run):
    header = (run / "generator.safetensors").read_bytes()[:4000]
    assert str(run).encode() not in header and b"20" + b"26" not in header


def test_resume_of_a_finished_run_changes_nothing(run, capsys):
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    status, out, _ = main(capsys, "train", "ring-gan", "--profile", "smoke", "--out", run, "--resume")
    assert status == 0 and "finished" in out
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_sample_is_deterministic_and_has_the_promised_arrays(run, tmp_path, capsys):
    for name in ("a", "b"):
        status, _, _ = main(
            capsys,
            "sample",
            run,
            "--n",
            50,
            "--seed",
            3,
            "--out",
            tmp_path / f"{name}.npz",
            "--png",
            tmp_path / "p.png",
        )
        assert status == 0
    points = np.load(tmp_path / "a.npz")["points"]
    assert points.shape == (50, 2) and points.dtype == np.float32
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_digits_are_sampled_as_uint8_images(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(capsys, "train", "digits-mlp", "--profile", "smoke", "--out", folder, "--quiet")[0] == 0
    assert main(capsys, "sample", folder, "--n", 20, "--out", tmp_path / "s.npz", "--png", tmp_path / "s.png")[0] == 0
    images = np.load(tmp_path / "s.npz")["images"]
    assert images.shape == (20, 28, 28, 1) and images.dtype == np.uint8


def test_the_judge_trains_by_its_own_recipe(tmp_path, capsys):
    folder = tmp_path / "judge"
    status, out, err = main(capsys, "train", "digits-judge", "--profile", "smoke", "--out", folder)
    assert status == 0, err
    assert (folder / "digits-judge.safetensors").stat().st_size < 2**20 and "accuracy" in out
    assert main(capsys, "train", "digits-judge", "--out", folder, "--set", "k=2")[0] == 1


def test_evaluate_json_has_fixed_keys(run, capsys):
    status, out, _ = main(capsys, "evaluate", run, "--json")
    report = json.loads(out)
    assert status == 0
    assert {"run", "samples", "sample_seed", "modes", "high_quality", "reverse_kl"} <= set(report)


def test_describe_and_doctor_answer(capsys):
    status, out, _ = main(capsys, "describe", "gan", "--paper")
    assert status == 0 and "G: 2,503,984 parameters" in out and "D: 1,231,441 parameters" in out
    assert "parameters" in main(capsys, "describe", "ring-gan")[1]
    result = call("doctor")
    assert result.returncode == 0, result.stderr
    assert {"torch", "device", "profile", "digits"} <= {line.split()[0] for line in result.stdout.splitlines()}


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "rng-gan"], "Unknown recipe 'rng-gan'. Did you mean 'ring-gan'?"),
        (["train", "digit-judge"], "Unknown recipe 'digit-judge'. Did you mean 'digits-judge'?"),
        (["train", "ring-gan", "--profile", "cpuu"], "Unknown profile 'cpuu'. Did you mean 'cpu'?"),
        (["train", "ring-gan", "--sed", "1"], "unrecognized argument '--sed'. Did you mean '--seed'?"),
        (["trian", "ring-gan"], "Did you mean 'train'?"),
        (["train", "ring-gan", "--set", "k=0"], "k=0 is out of range"),
        (["train", "ring-gan", "--set", "kk=1"], "no hyper-parameter 'kk'"),
        (["train", "ring-gan", "--set", "k"], "key=value"),
        (["train", "ring-gan", "--seed", "-1"], "A seed is a whole number"),
        (["train", "ring-gan", "--device", "cudda"], "Unknown device 'cudda'. Did you mean 'cuda'?"),
        (["train", "ring-gan", "--set", "batch_size=1000000"], "batch_size=1000000 does not fit"),
        (["sample", "rign", "--out", "x.npz"], "Unknown run 'rign'"),
        (["sample", "RUN", "--n", "0", "--out", "x.npz"], "n=0 is out of range"),
        (["sample", "RUN"], "Nothing to write"),
        (["sample", "RUN", "--out", "x.png"], "should end in .npz"),
        (["evaluate", "EMPTY"], "it holds no config.json"),
        (["describe", "gann", "--paper"], "Unknown system 'gann'. Did you mean 'gan'?"),
    ],
)
def test_bad_input_is_one_sentence_and_a_status(arguments, told, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    status, out, err = main(capsys, *[str(run) if a == "RUN" else a for a in arguments], *[])
    assert status != 0 and told in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("checkpoint.pt"))


def copy_of(run, folder):
    folder.mkdir()
    for name in ("config.json", "generator.safetensors", "metrics.csv"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


@pytest.mark.parametrize("damage", ["truncated", "foreign", "other shapes", "missing", "bad json"])
def test_damaged_runs_are_told_and_kept(run, tmp_path, damage, capsys):
    from safetensors.torch import save_file

    folder = copy_of(run, tmp_path / "copy")
    weights = folder / "generator.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:700])
    elif damage == "foreign":
        weights.write_bytes(b"PK\x03\x04 something else")
    elif damage == "other shapes":
        save_file({"layers.0.weight": torch.zeros(2, 2)}, weights)
    elif damage == "missing":
        weights.unlink()
    else:
        (folder / "config.json").write_text("{")
    before = {p: p.read_bytes() for p in folder.iterdir()}
    status, _, err = main(capsys, "sample", folder, "--out", tmp_path / "x.npz")
    assert status == 1 and "Traceback" not in err and err.startswith("gancourse: ")
    assert ("damaged" in err) or ("not finished" in err)
    assert before == {p: p.read_bytes() for p in folder.iterdir()} and not (tmp_path / "x.npz").exists()


def test_cuda_out_of_memory_is_one_sentence(monkeypatch, capsys):
    def explode(arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(cli, "run_doctor", explode)
    status, _, err = main(capsys, "doctor")
    assert status == 1 and "batch_size" in err and "Traceback" not in err


def test_other_runtime_errors_are_not_hidden(monkeypatch):
    def explode(arguments):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(cli, "run_doctor", explode)
    with pytest.raises(RuntimeError, match="mat1"):
        cli.main(["doctor"])


def in_child(work):
    """Run `work` in a fork and return its exit status; what it prints on stderr is shared."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException as error:
            print("child failed:", repr(error), file=sys.stderr, flush=True)
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="only root can drop to another user")
def test_no_write_permission_is_one_sentence(run, tmp_path, capfd):
    """Root may write anywhere, so the child becomes an ordinary user first."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    for parent in [tmp_path, *tmp_path.parents][:-1]:
        parent.chmod(parent.stat().st_mode | 0o055)
    weights = run / "generator.safetensors"
    readable = tmp_path / "readable"
    copy_of(run, readable)
    del weights

    def work():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        first = cli.main(["train", "ring-gan", "--profile", "smoke", "--out", str(locked / "run"), "--quiet"])
        second = cli.main(["sample", str(readable), "--out", str(locked / "x.npz")])
        return 0 if (first, second) == (1, 1) else 50

    assert in_child(work) == 0
    told = capfd.readouterr().err
    assert told.count("No permission to write") == 2 and "Traceback" not in told
    assert not list(locked.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, where root may mount one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a 1 MB disk needs root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip(f"this machine does not allow mounting a tmpfs: {os.strerror(ctypes.get_errno())}")
    yield folder
    libc.umount2(str(folder).encode(), 2)


def test_a_full_disk_is_one_sentence_and_keeps_the_checkpoint(small_disk, capsys):
    folder = small_disk / "run"
    train = ["train", "ring-gan", "--profile", "smoke", "--out", folder, "--quiet", "--device", "cpu"]
    assert main(capsys, *train, "--set", "steps=20")[0] == 0
    (folder / "card.md").unlink()
    checkpoint = (folder / "checkpoint.pt").read_bytes()
    filler = small_disk / "filler"
    try:
        with filler.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError:
        pass
    other = [
        "train",
        "ring-gan",
        "--profile",
        "smoke",
        "--out",
        small_disk / "second",
        "--quiet",
        "--device",
        "cpu",
    ]
    for command in (
        [*train, "--set", "steps=20", "--resume"],
        other,
        ["sample", folder, "--out", small_disk / "s.npz"],
    ):
        status, _, err = main(capsys, *command)
        assert status == 1 and "disk is full" in err and "Traceback" not in err
    assert (folder / "checkpoint.pt").read_bytes() == checkpoint
    assert not [p for p in small_disk.rglob("*.tmp")] and not (small_disk / "s.npz").exists()
    filler.unlink()
    assert main(capsys, *train, "--set", "steps=20", "--resume")[0] == 0
    assert (folder / "card.md").exists()


# ---------------------------------------------------------------- killed and resumed


def test_killed_and_resumed_equals_unbroken(tmp_path):
    """Three kills with SIGKILL; the long form with twenty is ``python tests/kill_and_resume.py``."""
    sys.path.insert(0, str(Path(__file__).parent))
    import kill_and_resume

    report = kill_and_resume.main(kills=3, steps=400, folder=tmp_path, seed=0)
    assert report["equal"] and report["kills"] == 3


# ---------------------------------------------------------------- the hub


def test_published_files_match_their_hashes():
    for name, files in hub.registry().items():
        folder = hub.find(name)
        assert {"config.json", "generator.safetensors", "card.md"} <= set(files)
        assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 3 * 2**20


def test_the_hub_fetches_from_the_address_of_the_site():
    config = yaml.safe_load((Path(__file__).parents[1] / "_config.yml").read_text(encoding="utf-8"))
    assert hub.SITE == config["html"]["baseurl"]


def test_a_changed_reference_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "some-run").mkdir()
    (tmp_path / "some-run" / "config.json").write_text("{}")
    monkeypatch.setattr(hub, "CHECKOUT_RUNS", tmp_path)
    monkeypatch.setattr(hub, "registry", lambda: {"some-run": {"config.json": "0" * 64}})
    with pytest.raises(UserError, match="SHA-256 differs"):
        hub.find("some-run")


def test_an_unpublished_recipe_says_how_to_train_it(monkeypatch):
    monkeypatch.setattr(hub, "registry", lambda: {})
    with pytest.raises(UserError, match="gancourse train ring-gan"):
        hub.find("ring-gan")


def test_an_unreachable_site_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "CHECKOUT_RUNS", tmp_path / "none")
    monkeypatch.setattr(hub, "SITE", "http://127.0.0.1:9/")
    monkeypatch.setattr(hub, "registry", lambda: {"some-run": {"config.json": "0" * 64}})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="could not be fetched.*gancourse train"):
        hub.find("some-run")


def test_interrupt_says_how_to_go_on(tmp_path):
    command = [
        *RUN,
        "train",
        "ring-gan",
        "--out",
        str(tmp_path / "r"),
        "--profile",
        "smoke",
        "--set",
        "steps=100000",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 600
    while not (tmp_path / "r" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130 and "--resume" in err and "Traceback" not in err
