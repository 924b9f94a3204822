"""Faces whose attributes are known: drawn heads, 20,000 to train on and 10,000 to measure with.

A head is eight labels (hair, its colour, skin, eyes, glasses, beard, clothes, their colour) and six numbers (where it
stands, how large, how tilted, mouth, brows); :data:`~gancourse.datasets.heads.PARTS` and
:data:`~gancourse.datasets.heads.RANGES` list them. None says anything about another, and the same head can be drawn
again with one of them changed. Pictures are 64 or 128 pixels wide; at 32 each pixel is the mean of four of 64's. The
sources of :func:`load`, in this order:

1. what was drawn before: in the folder ``faces`` of the folder that ``GANCOURSE_DATA`` names, or of the cache folder
   (``GANCOURSE_CACHE``, else ``~/.cache/gancourse``), checked by its checksum every time;
2. drawn now, by all the processors, and kept there: needs the extra packages of ``gancourse[faces]`` and about a
   minute; never when ``CI`` is true, nor at the profile ``smoke``;
3. the mini set inside this package: 600 + 100 heads at 32 or 64 pixels.

``python -m gancourse.datasets.faces`` draws the full set once and for all. The drawings are by Pablo Stanley;
``datasets/mini/ATTRIBUTION.md`` says under which terms.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import lzma
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gancourse import console, files, runtime
from gancourse.datasets import heads, idx
from gancourse.datasets.heads import PARTS, RANGES, SIZES, Part, Range
from gancourse.datasets.source import Source
from gancourse.errors import UserError, check_seed, check_whole, unknown

COUNTS = {"train": 20_000, "test": 10_000}
"""How many heads a split has; train is drawn with seed 0, test with seed 1, both balanced."""
SEEDS = {"train": 0, "test": 1}
BALANCES = ("balanced", "natural")
CLASSES = tuple(len(part.values) for part in PARTS)
"""How many values each label has."""
SMILING = 0.4
"""From this curve of the mouth on, a face of the data set ``smiles`` smiles."""
FORMAT = 1
"""Raised when the same factors are drawn otherwise: kept pictures of another format are drawn anew."""

MINI_FILE = idx.MINI / "faces.xz"
MINI_SHA256 = "44fef8cf0848f18bc1198ca2f1837ec39be9e9cfe22eefbfa2c2f70ba7081349"
MINI_COUNTS = {"train": 600, "test": 100}
MINI_SEED = 2
_FEW = 200  # so many are drawn by this process alone
_NAMES = tuple(factor.name for factor in (*PARTS, *RANGES))


# ------------------------------------------------------------------------------------------------- factors


@dataclass(frozen=True, eq=False)
class Factors:
    """What N heads are like.

    Attributes:
        labels: int64 (N, 8), a column for each of ``heads.PARTS``.
        values: float32 (N, 6), a column for each of ``heads.RANGES``.
    """

    labels: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: int | slice | Tensor) -> Factors:
        """Return the factors of one head, or of some."""
        if isinstance(which, int):
            which = slice(which, which + 1 or None)
        return Factors(self.labels[which], self.values[which])

    def column(self, name: str) -> Tensor:
        """Return one factor of every head: labels, int64 (N,), or values, float32 (N,)."""
        factor, k = _factor(name)
        return self.labels[:, k] if isinstance(factor, Part) else self.values[:, k]

    def changed(self, **what: str | float) -> Factors:
        """Return the same heads with these factors set: ``changed(glasses="round", smile=1.0)``.

        Raises:
            UserError: there is no such factor or value, or the number is out of range.
        """
        labels, values = self.labels.clone(), self.values.clone()
        for name, value in what.items():
            factor, k = _factor(name)
            (labels if isinstance(factor, Part) else values)[:, k] = _setting(factor, value)
        return Factors(labels, values)

    def sweep(self, name: str, steps: int = 9) -> Factors:
        """Return the first of these heads with each value of one factor: a part's, or `steps` from low to high."""
        factor, _ = _factor(name)
        one = self[0]
        if isinstance(factor, Part):
            settings: Sequence[str | float] = factor.values
        else:
            check_whole("steps", steps, 2, 1_000)
            settings = [
                round(value, 4) for value in torch.linspace(factor.low, factor.high, steps, device="cpu").tolist()
            ]
        return join([one.changed(**{name: setting}) for setting in settings])

    def describe(self, i: int = 0) -> dict[str, str | float]:
        """Return a head in words and numbers, which :func:`head` takes."""
        words = {part.name: part.values[int(self.labels[i, k])] for k, part in enumerate(PARTS)}
        return words | {span.name: round(float(self.values[i, k]), 4) for k, span in enumerate(RANGES)}

    def visible(self) -> Tensor:
        """Return which labels can be seen, bool (N, 8): under a hat, and without a beard, hair has no colour."""
        seen = torch.ones(self.labels.shape, dtype=torch.bool, device=self.labels.device)
        hats = [k for k, value in enumerate(PARTS[0].values) if value in PARTS[0].covers]
        hidden = torch.isin(self.column("hair"), torch.tensor(hats, device=self.labels.device))
        seen[:, _factor("hair_colour")[1]] = ~(hidden & (self.column("beard") == 0))
        return seen


def join(parts: Sequence[Factors]) -> Factors:
    """Return the heads of several, one after another."""
    return Factors(torch.cat([part.labels for part in parts]), torch.cat([part.values for part in parts]))


def head(settings: Mapping[str, str | float] | None = None, /, **more: str | float) -> Factors:
    """Return one head: the first value of each part, the middle of each range, and what is set otherwise.

    Raises:
        UserError: there is no such factor or value, or the number is out of range.
    """
    plain = Factors(
        torch.zeros(1, len(PARTS), dtype=torch.long, device="cpu"),
        torch.tensor([[span.middle for span in RANGES]], device="cpu"),
    )
    return plain.changed(**{**(settings or {}), **more})


def sample(n: int, seed: int = 0, balance: str = "balanced", **fixed: str | float) -> Factors:
    """Draw the factors of n heads, each factor independently of the others.

    The first heads of a larger n are those of a smaller one.

    Args:
        n: how many.
        seed: fixes them.
        balance: ``"balanced"``: every value of a part is equally likely, but hats and beards, which cover others, are
            capped; numbers are uniform. ``"natural"``: parts have the shares of ``heads.PARTS``, numbers gather in the
            middle.
        fixed: factors that are the same for all: ``glasses="round"``, ``tilt=0``.

    Raises:
        UserError: n, seed, balance, a factor or its value is none of these.
    """
    check_whole("n", n, 1, 10**7)
    if balance not in BALANCES:
        raise unknown("balance", balance, BALANCES)
    generator = torch.Generator("cpu").manual_seed(check_seed(seed))
    u = torch.rand(n, len(_NAMES), generator=generator, device="cpu", dtype=torch.float64)
    labels = torch.empty(n, len(PARTS), dtype=torch.long, device="cpu")
    for k, part in enumerate(PARTS):
        shares = torch.tensor(getattr(part, balance), dtype=torch.float64, device="cpu")
        labels[:, k] = torch.searchsorted(shares.cumsum(0)[:-1], u[:, k].contiguous(), right=True)
    low, high, middle = (
        torch.tensor([getattr(span, end) for span in RANGES], dtype=torch.float64, device="cpu")
        for end in ("low", "high", "middle")
    )
    spans = u[:, len(PARTS) :]
    if balance == "natural":  # a normal distribution about the middle: two standard deviations to the nearer end
        width = torch.minimum(high - middle, middle - low) / 2
        values = (middle + width * torch.special.ndtri(spans.clamp(1e-9, 1 - 1e-9))).clamp(low, high)
    else:
        values = low + (high - low) * spans
    return Factors(labels, values.mul(1e4).round().div(1e4).float()).changed(**fixed)


def _factor(name: str) -> tuple[Part | Range, int]:
    groups: tuple[tuple[Part | Range, ...], ...] = (PARTS, RANGES)
    for group in groups:
        for k, factor in enumerate(group):
            if factor.name == name:
                return factor, k
    raise unknown("factor", name, _NAMES)


def _setting(factor: Part | Range, value: object) -> float:
    """Return the number that stands for a factor's value, or say what is wrong with it."""
    if isinstance(factor, Part):
        if value not in factor.values:
            raise unknown(factor.name, str(value), factor.values)
        return factor.values.index(str(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not factor.low <= value <= factor.high:
        raise UserError(
            f"{factor.name}={value!r} is out of range: it is a number from {factor.low:g} to {factor.high:g} "
            f"({factor.unit})."
        )
    return float(value)


# ----------------------------------------------------------------------------------------------- pictures


def draw(factors: Factors, size: int = 64, processes: int | None = None) -> Tensor:
    """Draw heads, side by side in several processes; the same factors give the same bytes on the same versions.

    Args:
        factors: of N heads.
        size: 32, 64 or 128 pixels; at 32 each pixel is the mean of four of the picture at 64.
        processes: how many; None: as many as there are processors, one for a few heads.

    Returns:
        uint8 (N, size, size, 3).

    Raises:
        UserError: there is no such size, or the packages of the extra ``faces`` are not installed.
    """
    _check_size(size)
    if lacking := heads.absent():
        raise heads.missing(lacking)
    if size == 32:
        return halve(draw(factors, 64, processes))
    n = len(factors)
    if processes is None:
        processes = 1 if n <= _FEW else _processors()
    lines = [
        " ".join([*map(str, labels), *(f"{value:.4f}" for value in values)]) + "\n"
        for labels, values in zip(factors.labels.tolist(), factors.values.tolist(), strict=True)
    ]
    pictures = torch.empty(n, size, size, 3, dtype=torch.uint8, device="cpu")
    lock, stop = threading.Lock(), threading.Event()
    with runtime.progress(total=n, desc="drawing faces") as bar:

        def count() -> bool:
            with lock:
                bar.update()
            return not stop.is_set()

        if processes == 1:
            for i, line in enumerate(lines):
                pictures[i] = torch.from_numpy(heads.draw_line(line, size).copy())
                count()
            return pictures
        share = -(-n // processes)
        parts = [(lines[start : start + share], pictures[start : start + share]) for start in range(0, n, share)]
        with ThreadPoolExecutor(len(parts)) as pool:
            try:
                for done in [pool.submit(_drawn_apart, part, into, size, count) for part, into in parts]:
                    done.result()
            finally:  # where one has failed, or somebody has interrupted, the others end too
                stop.set()
    return pictures


def _drawn_apart(lines: Sequence[str], into: Tensor, size: int, count: Callable[[], bool]) -> None:
    """Let a process of its own draw these heads into a tensor, for as long as `count` says so after each."""
    program = "from gancourse.datasets import heads; heads.serve()"
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile() as told:
        asked.write(f"{size}\n")
        asked.writelines(lines)
        asked.seek(0)
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=asked, stdout=subprocess.PIPE, stderr=told, env=surroundings
        ) as process:
            try:
                assert process.stdout is not None
                whole = all(_read(process.stdout, picture) and count() for picture in into)
            finally:
                process.kill()
        if not whole:
            told.seek(0)
            last = told.read().decode(errors="replace").strip().splitlines() or ["it was killed"]
            raise UserError(f"A process that draws faces has ended: {last[-1]}. Draw fewer at once, or again.")


def _read(stream: IO[bytes], into: Tensor) -> bool:
    """Read one picture; return whether it came whole."""
    pixels = stream.read(into.numel())
    if len(pixels) < into.numel():
        return False
    into.copy_(torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view_as(into))
    return True


def halve(pictures: Tensor) -> Tensor:
    """Return pictures uint8 (N, H, W, C) at half their size: each pixel is the mean of four, halves rounded up."""
    n, height, width, channels = pictures.shape
    halved = torch.empty(n, height // 2, width // 2, channels, dtype=torch.uint8, device=pictures.device)
    for start in range(0, n, 1_000):  # in sixteen bits a thousand pictures at a time
        x = pictures[start : start + 1_000].to(torch.int16)
        total = x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]
        halved[start : start + 1_000] = ((total + 2) // 4).to(torch.uint8)
    return halved


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_size(size: object) -> None:
    if size not in SIZES:
        raise UserError(f"Faces come at {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels, got size={size!r}.")


# ---------------------------------------------------------------------------------------------- data sets


@dataclass(frozen=True, eq=False)
class Faces:
    """Pictures of heads with what is known of them. Loaded tensors are shared: treat them as read-only.

    Attributes:
        images: uint8 (N, size, size, 3).
        factors: of the N heads.
        split: ``"train"`` or ``"test"``; ``""`` for a set that :func:`make` drew.
        source: ``"full"``, ``"mini"``, or ``"drawn"`` by :func:`make`.
        notice: one line to show beside results, empty for the full set.
    """

    images: Tensor
    factors: Factors
    split: str = ""
    source: str = "drawn"
    notice: str = ""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> Tensor:
        """The labels of all parts, int64 (N, 8)."""
        return self.factors.labels


def make(
    n: int, size: int = 64, seed: int = 0, balance: str = "balanced", processes: int | None = None, **fixed: str | float
) -> Faces:
    """Return n heads that are drawn with `seed`, or that were drawn so before and kept.

    Sets of more than a few hundred are kept in the cache folder, with their checksum; one that is damaged is drawn
    anew. Arguments and errors are those of :func:`sample` and :func:`draw`.
    """
    _check_size(size)
    factors = sample(n, seed, balance, **fixed)
    if size == 32:
        larger = make(n, 64, seed, balance, processes, **fixed)
        return replace(larger, images=halve(larger.images))
    if (kept := _kept(factors, size)) is not None:
        return Faces(kept, factors)
    pictures = draw(factors, size, processes)
    if n > _FEW:
        _keep(factors, size, pictures)
    return Faces(pictures, factors)


def _file(factors: Factors, size: int) -> str:
    """Return the name of the file that holds these heads, drawn by the installed versions at this size."""
    asked = hashlib.sha256(f"{FORMAT} {size} {heads.versions()}".encode())
    asked.update(factors.labels.numpy().tobytes() + factors.values.numpy().tobytes())
    return f"{len(factors)}-at-{size}-{asked.hexdigest()[:16]}.safetensors"


def _checksum(pictures: Tensor) -> str:
    return hashlib.sha256(pictures.numpy().data).hexdigest()


def _kept(factors: Factors, size: int) -> Tensor | None:
    """Return the pictures of these heads from a folder where they were kept; None if they are nowhere, or damaged."""
    if heads.absent():
        return None
    for folder in _folders():
        path = folder / _file(factors, size)
        if not path.is_file():
            continue
        try:
            with safe_open(path, framework="pt") as file:
                pictures, checksum = file.get_tensor("images"), (file.metadata() or {}).get("sha256")
        except (OSError, SafetensorError):
            pictures, checksum = torch.empty(0, dtype=torch.uint8, device="cpu"), None
        if _checksum(pictures) == checksum:
            return pictures
        idx._say_once(f"{path} is damaged: these faces are drawn again.")
    return None


def _keep(factors: Factors, size: int, pictures: Tensor) -> None:
    """Keep pictures in the cache folder if it can be written; nothing depends on it."""
    folder = files.cache()[0] / "faces"
    tensors = {"images": pictures, "labels": factors.labels.to(torch.uint8), "values": factors.values}
    checksum = _checksum(pictures)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.sweep(folder, [r".*\.safetensors"])
        handle, temporary = tempfile.mkstemp(prefix=f".{_file(factors, size)}.", suffix=".tmp", dir=folder)
        os.close(handle)
        try:
            save_file(tensors, temporary, {"sha256": checksum})  # one key: their order would differ
            os.chmod(temporary, 0o644)
            os.replace(temporary, folder / _file(factors, size))
        finally:
            files.remove(Path(temporary))
    except (OSError, SafetensorError) as error:
        idx._say_once(f"The faces could not be kept in {folder} ({error}), and will be drawn again next time.")


def load(split: str = "train", size: int = 64, device: str | torch.device | None = None, quiet: bool = False) -> Faces:
    """Return a split of the drawn faces, from the best source this machine has (the module's text lists them).

    Args:
        split: ``"train"`` or ``"test"``.
        size: 32, 64, or 128; the mini set has no faces at 128.
        device: where the tensors live; None keeps them on the CPU.
        quiet: True keeps the mini set's notice off the screen (it stays in ``.notice``).

    Raises:
        UserError: there is no such split or size, or the faces have to be drawn and cannot be.
    """
    if split not in idx.SPLITS:
        raise unknown("split", split, idx.SPLITS)
    _check_size(size)
    found = _load(split, size, _why_not(split, size))
    if found.notice and not quiet:
        idx._say_once(found.notice)
    if device is None or torch.device(device).type == "cpu":
        return found
    moved = Factors(found.factors.labels.to(device), found.factors.values.to(device))
    return replace(found, images=found.images.to(device), factors=moved)


def _why_not(split: str, size: int) -> str:
    """Return why the full set cannot be had here; "" if it is kept or may be drawn."""
    if lacking := heads.absent():
        return f"{' and '.join(lacking)} not installed: {heads.EXTRA}"
    stored = max(size, 64)
    if any((folder / _file(_asked(split), stored)).is_file() for folder in _folders()):
        return ""
    if idx._in_ci():
        return "nothing is drawn under CI"
    return "nothing is drawn at the profile smoke" if runtime.profile() == "smoke" else ""


def _folders() -> list[Path]:
    """Return the folders where drawn faces may lie."""
    named = os.environ.get("GANCOURSE_DATA")
    places = [files.expanded(named, "GANCOURSE_DATA")[0]] if named else []
    return [place / "faces" for place in [*places, *files.caches()] if place is not None]


@functools.cache
def _asked(split: str) -> Factors:
    return sample(COUNTS[split], SEEDS[split])


@functools.lru_cache(maxsize=4)
def _load(split: str, size: int, why_not: str) -> Faces:
    if not why_not:
        return replace(make(COUNTS[split], size, SEEDS[split]), split=split, source="full")
    if size == 128:
        raise UserError(
            f"There are no faces at 128 pixels here ({why_not}), and the mini set has 32 and 64 only. Choose one of "
            "these, or draw the full set once: python -m gancourse.datasets.faces --size 128."
        )
    mini = load_mini(split)
    notice = (
        f"Faces: using the mini set of {MINI_COUNTS['train']} + {MINI_COUNTS['test']} drawn heads ({why_not}); "
        f"`python -m gancourse.datasets.faces` draws the full set of {COUNTS['train']:,} + {COUNTS['test']:,}."
    )
    return replace(mini, images=mini.images if size == 64 else halve(mini.images), notice=notice)


def load_mini(split: str = "train") -> Faces:
    """Return the mini set inside the package (64×64, on the CPU), whatever else this machine has.

    Raises:
        UserError: the split is unknown, or the file does not have the checksum this version of the package expects.
    """
    if split not in idx.SPLITS:
        raise unknown("split", split, idx.SPLITS)
    images, factors = _mini()
    part = slice(MINI_COUNTS["train"]) if split == "train" else slice(MINI_COUNTS["train"], None)
    return Faces(images[part], factors[part], split, "mini")


@functools.cache
def _mini() -> tuple[Tensor, Factors]:
    packed = MINI_FILE.read_bytes() if MINI_FILE.is_file() else b""
    if hashlib.sha256(packed).hexdigest() != MINI_SHA256:
        raise UserError(
            f"{MINI_FILE} is missing or not the file this version of gancourse was published with "
            "(its sha256 differs). Install gancourse again."
        )
    return unpack(lzma.decompress(packed))


def pack(images: Tensor, factors: Factors) -> bytes:
    """Return what the mini set's file holds before it is compressed: labels, values times 10⁴, pixels."""
    return b"".join(
        part.numpy().tobytes()
        for part in (factors.labels.to(torch.uint8), factors.values.double().mul(1e4).round().to(torch.int32), images)
    )


def unpack(data: bytes) -> tuple[Tensor, Factors]:
    """Return the pictures and factors that :func:`pack` packed."""
    each = len(PARTS) + 4 * len(RANGES) + 64 * 64 * 3
    n = len(data) // each
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    ends = (n * len(PARTS), n * (len(PARTS) + 4 * len(RANGES)))
    labels = buffer[: ends[0]].view(n, len(PARTS)).long()
    values = buffer[ends[0] : ends[1]].clone().view(torch.int32).view(n, len(RANGES))
    return buffer[ends[1] :].view(n, 64, 64, 3).clone(), Factors(labels, values.double().div(1e4).float())


def training(name: str, shape: tuple[int, ...], *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return the training split for the loop, in the shape (3, size, size).

    The labels are those of all parts, int64 (N, 8). ``smiles`` are those faces whose mouth is curved upwards.
    """
    train = load("train", shape[-1], device, quiet)
    images, labels = train.images, train.labels
    if name == "smiles":
        smiling = train.factors.column("smile") >= SMILING
        images, labels = images[smiling], labels[smiling]
    return Source(name, train.source, images, labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the full set once and for all, and keep it in the cache folder."""
    return console.entry(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gancourse.datasets.faces", description="Draw the full set of faces."
    )
    parser.add_argument("--size", type=int, default=64, choices=SIZES, help="in pixels; 64 serves 32 too (default: 64)")
    size = max(64, parser.parse_args(arguments).size)
    begin = time.perf_counter()
    try:
        for split in idx.SPLITS:
            make(COUNTS[split], size, SEEDS[split])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The faces at {size} pixels are in {files.cache()[0] / 'faces'} ({time.perf_counter() - begin:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
