"""The judges: small classifiers whose features and labels measure generated digits and generated clothes.

A judge stands in for the Inception network of the FID (Heusel et al. 2017, arXiv:1706.08500) where Inception,
trained on photographs, has little to say: handwritten digits, and small grey pictures of clothes. Its figures
compare models inside this course and with nothing else: they are never mixed with Inception's, nor one judge's
with the other's.

The trained weights ship with the package, with their card and their checksum, in ``metrics/weights``.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import __version__, runtime
from gancourse import images as pixels
from gancourse.datasets import digits, fashion, idx
from gancourse.errors import UserError, unknown

WEIGHTS = Path(__file__).parent / "weights"
FEATURES = 64
CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """What a judge looks at.

    Attributes:
        loader: the module of the set that it is trained and measured on, which has ``load`` and ``SET``.
        shows: what the pictures show, for its card.
        measure: the function that uses it, in ``gancourse.metrics``.
        makers: who made the data, and under which licence, for its card.
    """

    loader: ModuleType
    shows: str
    measure: str
    makers: str

    @property
    def data(self) -> idx.IdxSet:
        """The set."""
        return self.loader.SET


SUBJECTS = {  # judge → what it looks at
    "digits-judge": Subject(
        digits,
        "digits",
        "digit_report",
        "Y. LeCun, C. Cortes and C. J. C. Burges; commonly stated to be CC BY-SA 3.0",
    ),
    "fashion-judge": Subject(
        fashion,
        "clothes",
        "fashion_report",
        "H. Xiao, K. Rasul and R. Vollgraf, Zalando Research; MIT, © 2017 Zalando SE",
    ),
}


def subject(name: str) -> Subject:
    """Return what the judge called `name` looks at.

    Raises:
        UserError: there is no judge of that name.
    """
    if name not in SUBJECTS:
        raise unknown("judge", name, SUBJECTS)
    return SUBJECTS[name]


class Judge(nn.Module):
    """A five-layer convolutional classifier of 28×28 grey pictures in ten classes, 168,426 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(  # x: (N, 1, 28, 28)
            *_block(1, 32, stride=1),  # (N, 32, 28, 28)
            *_block(32, 32, stride=2),  # (N, 32, 14, 14)
            *_block(32, 64, stride=1),  # (N, 64, 14, 14)
            *_block(64, 64, stride=2),  # (N, 64, 7, 7)
            *_block(64, 64, stride=2),  # (N, 64, 4, 4)
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, FEATURES),  # (N, 64)
        )
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate features, float (N, 64), of images float (N, 1, 28, 28) in [-1, 1].

        They are taken before the last ReLU. After it, many would be zero for whole classes and the covariance
        of a class-poor sample would be singular.
        """
        return self.body(x)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits, float (N, 10), that belong to features (N, 64)."""
        return self.head(F.relu(features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, float (N, 10), of images float (N, 1, 28, 28) in [-1, 1]."""
        return self.classify(self.features(x))


def _block(inside: int, outside: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]


# ----------------------------------------------------------------------------------------- the trained judges


def load_judge(device: str | torch.device | None = None, name: str = "digits-judge") -> Judge:
    """Return a shipped judge in eval mode, without gradients, on `device` (None: the machine's best).

    The same object is returned for the same device and name.

    Raises:
        UserError: there is no such judge, or its weights are missing or do not match their checksum.
    """
    subject(name)
    return _load_judge(str(device) if device else str(runtime.device()), name)


@functools.lru_cache(maxsize=4)
def _load_judge(device: str, name: str) -> Judge:
    judge = Judge()
    judge.load_state_dict(safetensors.load(checked_weights(name)))
    judge.to(torch.device(device)).to(memory_format=torch.channels_last)
    return judge.eval().requires_grad_(False)


def judge_card(name: str = "digits-judge") -> dict[str, Any]:
    """Return a shipped judge's card: checksum, test accuracy, data, minutes, device, seed and settings."""
    subject(name)
    return read_card(name)


def read_card(name: str) -> dict[str, Any]:
    """Return what the card of any judge in ``metrics/weights`` holds.

    Raises:
        UserError: it is missing or damaged.
    """
    path = WEIGHTS / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The judge's card {path} cannot be read ({error}). Install gancourse again.") from None


def checked_weights(name: str) -> bytes:
    """Return the file of a judge's weights, after comparing its checksum with that of its card.

    Raises:
        UserError: it is missing or damaged.
    """
    path = WEIGHTS / f"{name}.safetensors"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != read_card(name)["sha256"]:
        raise UserError(
            f"{path} is missing or damaged (its sha256 is not the one on its card). Install gancourse again."
        )
    return data


# ------------------------------------------------------------------------------------------------ the recipes


@dataclass(frozen=True)
class JudgeRecipe:
    """The hyper-parameters of a judge's training.

    Attributes:
        steps: minibatches in all.
        batch_size: pictures per minibatch.
        lr: the peak of the one-cycle schedule (Smith & Topin 2019) for AdamW.
        weight_decay: of AdamW.
        rotation: pictures are turned by up to this many degrees either way …
        shift: … moved by up to this many pixels in x and y …
        scale: … and scaled by 1 ± this.
        noise: half of them get Gaussian noise whose standard deviation is drawn from 0 … this (pixels span 2), so
            that a grainy picture is still read as what it is.
        flip: the share of pictures that are mirrored left to right. A digit does not survive that.
    """

    steps: int = 6_500
    batch_size: int = 128
    lr: float = 4e-3
    weight_decay: float = 0.02
    rotation: float = 12.0
    shift: float = 2.0
    scale: float = 0.1
    noise: float = 0.1
    flip: float = 0.0


CLOTHES = JudgeRecipe(steps=5_000, rotation=4.0, flip=0.5)

RECIPES: dict[str, dict[str, JudgeRecipe]] = {
    "digits-judge": {
        "smoke": JudgeRecipe(steps=20),
        "cpu": JudgeRecipe(),
        "gpu": JudgeRecipe(steps=20_000),
    },
    "fashion-judge": {
        "smoke": replace(CLOTHES, steps=20),
        "cpu": CLOTHES,
        "gpu": replace(CLOTHES, steps=20_000),
    },
}


def distort(x: Tensor, recipe: JudgeRecipe, generator: torch.Generator | None = None) -> Tensor:
    """Return images (N, C, H, W), turned, scaled, moved and mirrored at random on an endless background, half noisy.

    Background is -1, so the images are shifted to [0, 2] for the zero padding of ``grid_sample``.
    """
    n, _, height, _ = x.shape
    turn, zoom, *move = (torch.rand(4, n, generator=generator, device="cpu") * 2 - 1).to(x.device)
    angle = turn * math.radians(recipe.rotation)
    size = 1 + zoom * recipe.scale
    move = [m * 2 * recipe.shift / height for m in move]
    rows = [size * angle.cos(), -size * angle.sin(), move[0], size * angle.sin(), size * angle.cos(), move[1]]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(n, 2, 3), list(x.shape), align_corners=False)
    x = F.grid_sample(x + 1, grid, align_corners=False) - 1
    if recipe.flip:
        mirrored = (torch.rand(n, 1, 1, 1, generator=generator, device="cpu") < recipe.flip).to(x.device)
        x = torch.where(mirrored, x.flip(3), x)
    return grainy(x, recipe.noise, generator)


def grainy(x: Tensor, noise: float, generator: torch.Generator | None = None) -> Tensor:
    """Return images (N, C, H, W), half of them with Gaussian noise of a standard deviation drawn from 0 … `noise`."""
    grain = noise * (2 * torch.rand(len(x), 1, 1, 1, generator=generator, device="cpu") - 1).clamp(min=0)
    grain = grain * torch.randn(x.shape, generator=generator, device="cpu")
    return (x + grain.to(x.device)).clamp(-1, 1)


def minibatches(n: int, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of `steps` minibatches; every epoch is a new permutation, a last partial batch is dropped."""
    order = torch.empty(0, dtype=torch.long, device="cpu")
    for _ in range(steps):
        if len(order) < batch_size:
            order = torch.randperm(n, generator=generator, device="cpu")
        index, order = order[:batch_size], order[batch_size:]
        yield index


@torch.no_grad()
def accuracy(judge: Judge, data: idx.Images, batch_size: int = 500) -> float:
    """Return the share (0 … 1) of `data` that `judge`, in eval mode, labels right."""
    was_training = judge.training
    judge.eval()
    where = next(judge.parameters()).device
    right = 0
    for images, labels in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
        logits = judge(pixels.to_float(images.to(where)).contiguous(memory_format=torch.channels_last))
        right += int((logits.argmax(dim=1).cpu() == labels.cpu()).sum())
    judge.train(was_training)
    return right / len(data)


def train_judge(
    profile: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    *,
    name: str = "digits-judge",
    device: str | None = None,
    holdout: int = 0,
    recipe: JudgeRecipe | None = None,
) -> dict[str, Any]:
    """Train the judge called `name` into the folder `out` and return its card.

    Writes ``NAME.safetensors`` (weights, float32), ``NAME.json`` (the card, with the checksum), ``card.md`` (the
    same for people) and ``metrics.csv`` (step, seconds, loss).

    Args:
        profile: smoke, cpu or gpu (None: as :func:`gancourse.runtime.profile` finds it).
        seed: fixes the weights' start, the order of the data and the distortions.
        out: a folder, which must not hold this judge yet; None is ``runs/NAME``.
        name: ``"digits-judge"`` or ``"fashion-judge"``.
        device: None for the machine's best.
        holdout: 0 trains on the whole train split and measures accuracy on the test split, once, at the end.
            A number h keeps the last h training pictures aside and measures on those: this is for tuning.
        recipe: settings in place of the profile's.

    Raises:
        UserError: there is no judge of that name, `out` already holds one or cannot be written, or `holdout`
            leaves nothing to train on.
    """
    about = subject(name)
    profile, where, out = runtime.profile(profile), runtime.device(device), Path(out or f"runs/{name}")
    recipe = recipe or RECIPES[name][profile]
    if (out / f"{name}.safetensors").exists():
        raise UserError(f"{out} already holds a judge. Choose another folder with --out, or remove that one.")
    runtime.make_folder(out)
    runtime.seed_everything(seed)
    train, measure = _splits(about, holdout)
    title, items = about.data.title, about.data.items
    begin = time.perf_counter()
    judge, rows = _fit(recipe, _to(train, where), seed, name)
    minutes = (time.perf_counter() - begin) / 60
    weights = safetensors.save({name: value.cpu().contiguous() for name, value in judge.state_dict().items()})
    card = {
        "recipe": name,
        "profile": profile,
        "seed": seed,
        "data": f"{title} {train.source}, train split, {len(train):,} {items}",
        "measured_on": f"{title} {measure.source}, {measure.split} split, {len(measure):,} {items}",
        "accuracy": round(accuracy(judge, measure), 5),
        "minutes": round(minutes, 1),
        "device": runtime.describe_device(where),
        "settings": asdict(recipe),
        "parameters": sum(p.numel() for p in judge.parameters()),
    }
    runtime.write_atomic(out / "metrics.csv", _table(rows).encode())
    return keep(out, weights, card, describe)


def keep(out: Path, weights: bytes, card: dict[str, Any], describe: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """Write a judge's weights and its card, for programs and for people; return the card with their checksum."""
    name = card["recipe"]
    card |= {
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "versions": {"gancourse": __version__, "torch": torch.__version__.split("+")[0]},
    }
    runtime.write_atomic(out / f"{name}.safetensors", weights)
    runtime.write_atomic(out / f"{name}.json", (json.dumps(card, indent=2) + "\n").encode())
    runtime.write_atomic(out / "card.md", describe(card).encode())
    return card


def _splits(about: Subject, holdout: int) -> tuple[idx.Images, idx.Images]:
    train = about.loader.load("train")
    if holdout == 0:
        return train, about.loader.load("test")
    if not 0 < holdout < len(train):
        what = about.data.items
        raise UserError(f"The hold-out must leave {what} to train on: 0 … {len(train) - 1:,}, got {holdout}.")
    return _part(train, slice(None, -holdout)), _part(train, slice(-holdout, None))


def _part(data: idx.Images, which: slice) -> idx.Images:
    return idx.Images(data.images[which], data.labels[which], data.split, data.source, data.notice)


def _to(data: idx.Images, where: torch.device) -> idx.Images:
    return idx.Images(data.images.to(where), data.labels.to(where), data.split, data.source, data.notice)


def _fit(recipe: JudgeRecipe, data: idx.Images, seed: int, name: str) -> tuple[Judge, list[tuple[int, float, float]]]:
    """Train a new judge on `data`; return it in eval mode with the rows of its log."""
    judge = Judge().to(data.images.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    generator = torch.Generator().manual_seed(seed)
    rows, begin = [], time.perf_counter()
    batches = minibatches(len(data), recipe.batch_size, recipe.steps, generator)
    for step, index in enumerate(runtime.progress(batches, total=recipe.steps, desc=name), start=1):
        index = index.to(data.images.device)
        x = distort(pixels.to_float(data.images[index]), recipe, generator)
        loss = F.cross_entropy(judge(x.contiguous(memory_format=torch.channels_last)), data.labels[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == recipe.steps:
            rows.append((step, round(time.perf_counter() - begin, 2), round(loss.item(), 5)))
    return judge.eval(), rows


def _table(rows: list[tuple[int, float, float]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("step", "seconds", "loss"), *rows])
    return text.getvalue()


def describe(card: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    about = subject(card["recipe"])
    settings = ", ".join(f"{name} {value}" for name, value in card["settings"].items())
    return f"""# {card["recipe"]}

A convolutional classifier of 28×28 {about.shows} with {card["parameters"]:,} parameters. Its 64 penultimate features
and its labels measure generated {about.shows} (`gancourse.metrics.{about.measure}`).

| | |
|---|---|
| accuracy | {100 * card["accuracy"]:.2f} % on {card["measured_on"]} |
| trained on | {card["data"]} |
| the data's makers | {about.makers} |
| time | {card["minutes"]} minutes on {card["device"]}, profile {card["profile"]}, seed {card["seed"]} |
| settings | {settings} |
| file | {card["bytes"]:,} bytes, sha256 `{card["sha256"]}` |
| made with | gancourse {card["versions"]["gancourse"]}, PyTorch {card["versions"]["torch"]} |
"""
