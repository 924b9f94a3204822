"""The digit judge: a small classifier whose features and labels measure generated digits.

A judge stands in for the Inception network of the FID (Heusel et al. 2017, arXiv:1706.08500) where Inception,
trained on photographs, has little to say: handwritten digits. Its figures compare models inside this course
and with nothing else: they are never mixed with Inception's.

The trained weights ship with the package, with their card and their checksum, in ``systems/weights``.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import __version__, runtime
from gancourse import images as pixels
from gancourse.datasets import digits
from gancourse.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
FEATURES = 64
CLASSES = 10


class DigitJudge(nn.Module):
    """A five-layer convolutional classifier of 28×28 grey digits, 168,426 parameters."""

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


# ------------------------------------------------------------------------------------------ the trained judge


def load_judge(device: str | torch.device | None = None) -> DigitJudge:
    """Return the shipped judge in eval mode, without gradients, on `device` (None: the machine's best).

    The same object is returned for the same device.

    Raises:
        UserError: the weights are missing or do not match their checksum.
    """
    return _load_judge(str(device) if device else str(runtime.device()))


@functools.lru_cache(maxsize=4)
def _load_judge(device: str) -> DigitJudge:
    judge = DigitJudge()
    judge.load_state_dict(safetensors.load(_checked_weights()))
    judge.to(torch.device(device)).to(memory_format=torch.channels_last)
    return judge.eval().requires_grad_(False)


def judge_card() -> dict[str, Any]:
    """Return the shipped judge's card: checksum, test accuracy, data, minutes, device, seed and settings."""
    path = WEIGHTS / "digits-judge.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The judge's card {path} cannot be read ({error}). Install gancourse again.") from None


def _checked_weights() -> bytes:
    path = WEIGHTS / "digits-judge.safetensors"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != judge_card()["sha256"]:
        raise UserError(
            f"{path} is missing or damaged (its sha256 is not the one on its card). Install gancourse again."
        )
    return data


# ------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class JudgeRecipe:
    """The hyper-parameters of the judge's training.

    Attributes:
        steps: minibatches in all.
        batch_size: digits per minibatch.
        lr: the peak of the one-cycle schedule (Smith & Topin 2019) for AdamW.
        weight_decay: of AdamW.
        rotation: digits are turned by up to this many degrees either way …
        shift: … moved by up to this many pixels in x and y …
        scale: … and scaled by 1 ± this.
        noise: half of them get Gaussian noise whose standard deviation is drawn from 0 … this (pixels span 2), so
            that a grainy digit is still read as the digit it is.
    """

    steps: int = 6_500
    batch_size: int = 128
    lr: float = 4e-3
    weight_decay: float = 0.02
    rotation: float = 12.0
    shift: float = 2.0
    scale: float = 0.1
    noise: float = 0.1


RECIPES: dict[str, dict[str, JudgeRecipe]] = {
    "digits-judge": {
        "smoke": JudgeRecipe(steps=20),
        "cpu": JudgeRecipe(),
        "gpu": JudgeRecipe(steps=20_000),
    }
}


def distort(x: Tensor, recipe: JudgeRecipe, generator: torch.Generator | None = None) -> Tensor:
    """Return images (N, C, H, W), each turned, scaled and moved at random on an endless background; half get noise.

    Background is -1, so the images are shifted to [0, 2] for the zero padding of ``grid_sample``.
    """
    n, _, height, _ = x.shape
    turn, zoom, *move = (torch.rand(4, n, generator=generator) * 2 - 1).to(x.device)
    angle = turn * math.radians(recipe.rotation)
    size = 1 + zoom * recipe.scale
    move = [m * 2 * recipe.shift / height for m in move]
    rows = [size * angle.cos(), -size * angle.sin(), move[0], size * angle.sin(), size * angle.cos(), move[1]]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(n, 2, 3), list(x.shape), align_corners=False)
    x = F.grid_sample(x + 1, grid, align_corners=False) - 1
    grain = recipe.noise * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1).clamp(min=0)
    return (x + (grain * torch.randn(x.shape, generator=generator)).to(x.device)).clamp(-1, 1)


def _batches(data: digits.Digits, recipe: JudgeRecipe, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `recipe.steps` minibatches; every epoch is a new permutation, a last partial batch is dropped."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(recipe.steps):
        if len(order) < recipe.batch_size:
            order = torch.randperm(len(data), generator=generator)
        index, order = order[: recipe.batch_size], order[recipe.batch_size :]
        index = index.to(data.images.device)
        yield pixels.to_float(data.images[index]), data.labels[index]


@torch.no_grad()
def accuracy(judge: DigitJudge, data: digits.Digits, batch_size: int = 500) -> float:
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
    out: str | Path = "runs/digits-judge",
    *,
    device: str | None = None,
    holdout: int = 0,
    recipe: JudgeRecipe | None = None,
) -> dict[str, Any]:
    """Train a digit judge into the folder `out` and return its card.

    Writes ``digits-judge.safetensors`` (weights, float32), ``digits-judge.json`` (the card, with the
    checksum), ``card.md`` (the same for people) and ``metrics.csv`` (step, seconds, loss).

    Args:
        profile: smoke, cpu or gpu (None: as :func:`gancourse.runtime.profile` finds it).
        seed: fixes the weights' start, the order of the data and the distortions.
        out: a folder; it must not hold a judge yet.
        device: None for the machine's best.
        holdout: 0 trains on the whole train split and measures accuracy on the test split, once, at the end.
            A number h keeps the last h training digits aside and measures on those: this is for tuning.
        recipe: settings in place of the profile's.

    Raises:
        UserError: `out` already holds a judge or cannot be written, or `holdout` leaves nothing to train on.
    """
    profile, where, out = runtime.profile(profile), runtime.device(device), Path(out)
    recipe = recipe or RECIPES["digits-judge"][profile]
    if (out / "digits-judge.safetensors").exists():
        raise UserError(f"{out} already holds a judge. Choose another folder with --out, or remove that one.")
    runtime.make_folder(out)
    runtime.seed_everything(seed)
    train, measure = _splits(holdout)
    begin = time.perf_counter()
    judge, rows = _fit(recipe, _to(train, where), seed)
    minutes = (time.perf_counter() - begin) / 60
    weights = safetensors.save({name: value.cpu().contiguous() for name, value in judge.state_dict().items()})
    card = {
        "recipe": "digits-judge",
        "profile": profile,
        "seed": seed,
        "data": f"MNIST {train.source}, train split, {len(train):,} digits",
        "measured_on": f"MNIST {measure.source}, {measure.split} split, {len(measure):,} digits",
        "accuracy": round(accuracy(judge, measure), 5),
        "minutes": round(minutes, 1),
        "device": runtime.describe_device(where),
        "settings": asdict(recipe),
        "parameters": sum(p.numel() for p in judge.parameters()),
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "versions": {"gancourse": __version__, "torch": torch.__version__.split("+")[0]},
    }
    runtime.write_atomic(out / "digits-judge.safetensors", weights)
    runtime.write_atomic(out / "digits-judge.json", (json.dumps(card, indent=2) + "\n").encode())
    runtime.write_atomic(out / "card.md", describe(card).encode())
    runtime.write_atomic(out / "metrics.csv", _table(rows).encode())
    return card


def _splits(holdout: int) -> tuple[digits.Digits, digits.Digits]:
    train = digits.load("train")
    if holdout == 0:
        return train, digits.load("test")
    if not 0 < holdout < len(train):
        raise UserError(f"The hold-out must leave digits to train on: 0 … {len(train) - 1:,}, got {holdout}.")
    return _part(train, slice(None, -holdout)), _part(train, slice(-holdout, None))


def _part(data: digits.Digits, which: slice) -> digits.Digits:
    return digits.Digits(data.images[which], data.labels[which], data.split, data.source, data.notice)


def _to(data: digits.Digits, where: torch.device) -> digits.Digits:
    return digits.Digits(data.images.to(where), data.labels.to(where), data.split, data.source, data.notice)


def _fit(recipe: JudgeRecipe, data: digits.Digits, seed: int) -> tuple[DigitJudge, list[tuple[int, float, float]]]:
    """Train a new judge on `data`; return it in eval mode with the rows of its log."""
    judge = DigitJudge().to(data.images.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    generator = torch.Generator().manual_seed(seed)
    rows, begin = [], time.perf_counter()
    batches = runtime.progress(_batches(data, recipe, generator), total=recipe.steps, desc="digits-judge")
    for step, (x, labels) in enumerate(batches, start=1):
        x = distort(x, recipe, generator).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(judge(x), labels)
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
    settings = ", ".join(f"{name} {value}" for name, value in card["settings"].items())
    return f"""# digits-judge

A convolutional classifier of 28×28 digits with {card["parameters"]:,} parameters. Its 64 penultimate features
and its labels measure generated digits (`gancourse.metrics.digit_report`).

| | |
|---|---|
| accuracy | {100 * card["accuracy"]:.2f} % on {card["measured_on"]} |
| trained on | {card["data"]} |
| time | {card["minutes"]} minutes on {card["device"]}, profile {card["profile"]}, seed {card["seed"]} |
| settings | {settings} |
| file | {card["bytes"]:,} bytes, sha256 `{card["sha256"]}` |
| made with | gancourse {card["versions"]["gancourse"]}, PyTorch {card["versions"]["torch"]} |
"""
