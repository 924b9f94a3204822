"""``book/when_something_goes_wrong.md`` quotes what the programs print: each message is made to happen."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import chapters
import colab
import pytest
import torch

from gancourse import cli, evaluation, files, hub, locks, systems, training
from gancourse.datasets import digits, idx

PAGE = (Path(__file__).parents[1] / "book" / "when_something_goes_wrong.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^`(.+)`\n: ", PAGE, re.M)
CPU = torch.device("cpu")
TRAIN = ["train", "ring-gan", "--profile", "smoke", "--device", "cpu", "--set", "steps=10"]


def matches(message: str, text: str) -> bool:
    pieces = [piece.strip() for piece in message.split("…") if piece.strip()]
    return re.search(".*?".join(map(re.escape, pieces)), text, re.S) is not None


def python_without_packages() -> str:
    """What Python says where the package is missing."""
    return subprocess.run([sys.executable, "-ISc", "import gancourse"], capture_output=True, text=True).stderr


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """Everything that the situations print."""
    base = tmp_path_factory.mktemp("wrong")
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning) as warned:
        _happen(base, patch, told)
    return [*told, *(str(warning.message) for warning in warned)]


def _happen(base: Path, patch: pytest.MonkeyPatch, told: list[str]) -> None:
    import contextlib
    import io

    def say(call: Any, *arguments: Any) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                call(*arguments)
            except BaseException as error:
                out.write(str(error))
        told.append(out.getvalue())

    def command(*words: Any) -> None:
        say(cli.main, [str(word) for word in words])

    patch.chdir(base)
    told.append(python_without_packages())

    # setting up
    with patch.context() as missing:
        missing.setattr("importlib.util.find_spec", lambda name: None)
        say(exec, chapters.python(colab.install_cell(chapters.config(), chapters.version())), {})
    with patch.context() as missing:
        import importlib.metadata

        def version(name: str) -> str:
            if name == "ipywidgets":
                raise importlib.metadata.PackageNotFoundError
            return "1"

        missing.setattr(importlib.metadata, "version", version)
        command("doctor")

    # data
    for cached in (idx._load, idx._say_once, idx._installed_or_downloaded):
        cached.cache_clear()
    with patch.context() as data:
        data.setenv("GANCOURSE_CACHE", str(base / "cache"))
        data.setattr(idx, "_checkout_folder", lambda: None)
        data.setenv("GANCOURSE_DATA", "~nouser-of-this-name/x")
        say(digits.load)
        data.setenv("GANCOURSE_DATA", str(base))
        say(digits.load)
        (base / "train-images-idx3-ubyte").write_bytes(b"half")
        say(digits.load)
        data.setattr(files, "can_write", lambda folder: False)
        say(digits.load)
    (base / "train-images-idx3-ubyte").unlink()
    with patch.context() as site:
        import hashlib

        import pooch

        site.setattr(hub, "CHECKOUT_RUNS", base / "none")
        site.setattr(files.tempfile, "tempdir", str(base))
        site.setattr(hub, "registry", lambda: {"ring-gan": {"a": hashlib.sha256(b"a").hexdigest()}})
        site.setattr(pooch, "retrieve", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no")))
        say(hub.find, "ring-gan")
        (base / "file").touch()
        site.setenv("GANCOURSE_CACHE", str(base / "file" / "x"))
        (base / "a").write_bytes(b"a")
        site.setattr(pooch, "retrieve", lambda *_, **__: str(base / "a"))
        say(hub.find, "ring-gan")

    # settings
    command("train", "rng-gan")
    command(*TRAIN, "--set", "kk=1")
    command(*TRAIN, "--set", "data=digits")
    command("train", "ring-cgan", "--profile", "smoke", "--set", "data=grid")
    command(*TRAIN, "--seed", "-1")
    command(*TRAIN, "--device", "gpu")
    with patch.context() as bare:
        bare.setattr(torch.cuda, "is_available", lambda: False)
        command(*TRAIN, "--device", "cuda")
    command("sample", "ring-gan", "--png", "x.jpg")

    # the folder of a run
    def run(folder: Path, **kwargs: Any) -> training.Run:
        kwargs = {"steps": 10, "profile": "smoke", "device": CPU, **kwargs}
        return training.Run(systems.recipe("ring-gan"), out=folder, **kwargs)

    there = base / "there"
    first = run(there)
    first.train()
    checkpoint = torch.load(there / "checkpoint.pt", weights_only=True)
    command(*TRAIN, "--out", there)
    (base / "thesis").mkdir()
    (base / "thesis" / "text").touch()
    command(*TRAIN, "--resume", "--out", base / "thesis")
    (there / files.LOCK).write_text('{"host": "elsewhere"}')
    command(*TRAIN, "--resume", "--out", there)
    os.utime(there / files.LOCK, (1, 1))
    lock = locks.FolderLock(there)
    lock.path.write_text('{"host": "elsewhere"}')
    say(lock.check)
    lock.path.unlink()
    locks.FolderLock(there).release()
    say(first.train)
    command(*TRAIN, "--resume", "--seed", 9, "--out", there)
    threads = checkpoint | {"threads": checkpoint["threads"] + 1}
    torch.save(threads, there / "checkpoint.pt")
    (there / "config.json").write_text("{}")
    run(there, resume=True).lock.release()  # two warnings
    weights = (there / "generator.safetensors").read_bytes()
    (there / "generator.safetensors").write_bytes(weights[:100])
    command("sample", there, "--png", "x.png")
    (there / "generator.safetensors").unlink()
    command("sample", there, "--png", "x.png")
    for change in ({"format": "gancourse checkpoint 99"}, {"rows": None}):
        state = {key: value for key, value in (checkpoint | change).items() if value is not None}
        torch.save(state, there / "checkpoint.pt")
        command(*TRAIN, "--resume", "--out", there)
    (there / "checkpoint.pt").write_bytes(b"half")
    command(*TRAIN, "--resume", "--out", there)

    # the machine
    def raising(error: BaseException) -> Any:
        def raise_it(*_: Any, **__: Any) -> None:
            raise error

        return raise_it

    with patch.context() as machine:
        for error in (torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), KeyboardInterrupt()):
            machine.setattr(cli, "run_train", raising(error))
            command(*TRAIN)
    with patch.context() as machine:
        machine.setattr(training, "training_step", raising(MemoryError()))
        command(*TRAIN, "--out", base / "large")
    for number in (errno.ENOSPC, errno.EACCES):
        with patch.context() as disk:
            disk.setattr(files, "_replace", raising(OSError(number, os.strerror(number))))
            command("sample", "ring-gan", "--png", "x.png")

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    errors = io.StringIO()
    with contextlib.redirect_stdout(Full()), contextlib.redirect_stderr(errors):
        cli.main(["list"])
    told.append(errors.getvalue())

    # results
    broken = run(base / "broken")
    with torch.no_grad():
        next(broken.system.D.parameters()).fill_(float("nan"))  # type: ignore[attr-defined]
    say(broken.train)
    say(lambda: evaluation.evaluate(first.system, n=10, quiet=False))


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_what_the_program_prints(printed, message):
    assert any(matches(message, text) for text in printed), "\n".join(printed)


def test_the_page_is_read_as_it_is_meant():
    assert len(QUOTED) >= 35 and len(set(QUOTED)) == len(QUOTED)
    assert not matches("… holds another … run", "it holds a run") and matches("a … b", "a x b")


def test_the_lock_is_named_where_folders_are_explained():
    assert f"`{files.LOCK}`" in (Path(__file__).parents[1] / "book" / "how_to_use.md").read_text(encoding="utf-8")
