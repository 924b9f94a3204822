"""The judge of drawn faces: a network that reads every factor of a face, and whose features measure generated ones.

It stands beside the judges of digits and clothes (``gancourse.metrics.judges``), but answers fourteen questions: the
eight labels and six numbers of ``gancourse.datasets.heads``. One network serves 32 and 64 pixels: pictures of 32 are
doubled. The trained weights ship with the package, with their card and their checksum, in ``metrics/weights``. The card
says of each factor how well it is read on heads that the judge has not seen, and which fall short of what was wanted
before the judge was trained.
"""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import images as pixels
from gancourse import runtime
from gancourse.datasets import faces
from gancourse.datasets.heads import PARTS, RANGES
from gancourse.errors import UserError
from gancourse.metrics import judges
from gancourse.metrics.inputs import Array

NAME = "faces-judge"
SIZES = (32, 64)
FEATURES = 96
WANTED = {64: 0.98, 32: 0.95}
"""The share of right labels that is wanted at each size."""
WANTED_R2 = 0.95
"""The R² that is wanted of each number."""
SMALL = ("smile", "brows")
"""The numbers of which nothing is wanted at 32 pixels, where a mouth and brows are a pixel or two high."""


class FaceJudge(nn.Module):
    """A six-layer convolutional network that reads 41 values of labels and six numbers, 358,479 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(  # x: (N, 3, 64, 64)
            nn.PixelUnshuffle(2),  # (N, 12, 32, 32): four pixels side by side become channels, which is faster
            *_block(12, 48, stride=2),  # (N, 48, 16, 16)
            *_block(48, 64),  # (N, 64, 16, 16)
            *_block(64, 80, stride=2),  # (N, 80, 8, 8)
            *_block(80, 80),  # (N, 80, 8, 8)
            *_block(80, 96, stride=2),  # (N, 96, 4, 4)
            nn.Flatten(),
            nn.Linear(96 * 4 * 4, FEATURES),  # (N, 96)
        )
        self.labels = nn.Linear(FEATURES, sum(faces.CLASSES))
        self.values = nn.Linear(FEATURES, len(RANGES))

    def features(self, x: Tensor) -> Tensor:
        """Return the features, float (N, 96), of images float (N, 3, 32, 32) or (N, 3, 64, 64) in [-1, 1].

        They are taken before the last ReLU, as those of the other judges.
        """
        return self.body(_doubled(x) if x.shape[-1] == 32 else x)

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of all values of all labels, float (N, 41), and the numbers, float (N, 6).

        Of the numbers -1 … 1 stands for the range of each; they may lie somewhat outside.
        """
        seen = F.relu(features)
        return self.labels(seen), self.values(seen)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`read` reads in images."""
        return self.read(self.features(x))


def _doubled(x: Tensor) -> Tensor:
    """Return images (N, C, H, W) at twice their size: of each pixel four."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _block(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]


# ------------------------------------------------------------------------------------------ the trained judge


def load_face_judge(device: str | torch.device | None = None) -> FaceJudge:
    """Return the shipped judge in eval mode, without gradients, on `device` (None: the machine's best).

    Raises:
        UserError: its weights are missing or do not match their checksum.
    """
    return _load(str(device) if device else str(runtime.device()))


@functools.lru_cache(maxsize=2)
def _load(device: str) -> FaceJudge:
    judge = FaceJudge()
    _put(judge, judges.checked_weights(NAME))
    judge.to(torch.device(device)).to(memory_format=torch.channels_last)
    return judge.eval().requires_grad_(False)


def _stored(judge: FaceJudge) -> bytes:
    """Return a judge's weights as a file: kernels and matrices in half precision, the rest in full."""
    weights = {name: value.half() if value.ndim > 1 else value for name, value in judge.state_dict().items()}
    return safetensors.save({name: value.cpu().contiguous() for name, value in weights.items()})


def _put(judge: FaceJudge, weights: bytes) -> None:
    """Give a judge the weights of a file; they are used in full precision."""
    judge.load_state_dict(safetensors.load(weights))


def face_judge_card() -> dict[str, Any]:
    """Return the shipped judge's card: checksum, how well it reads each factor, data, minutes, seed and settings."""
    return judges.read_card(NAME)


@dataclass(frozen=True, eq=False)
class FaceJudgement:
    """What the judge says about N faces.

    Attributes:
        features: float32 (N, 96), see :meth:`FaceJudge.features`.
        factors: the most likely labels, and the numbers, brought into their ranges.
        confidence: float32 (N, 8), the probability that the judge gives to each of these labels.
    """

    features: Tensor
    factors: faces.Factors
    confidence: Tensor


@torch.no_grad()
def judge_faces(
    images: Array, device: str | torch.device | None = None, batch_size: int = 500, judge: FaceJudge | None = None
) -> FaceJudgement:
    """Let the shipped judge, or `judge` in eval mode, look at uint8 faces (N, 32, 32, 3) or (N, 64, 64, 3).

    Raises:
        UserError: the images have another type or shape, or there are none.
    """
    x = torch.as_tensor(images)
    if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) not in ((32, 32, 3), (64, 64, 3)) or len(x) == 0:
        raise UserError(
            f"Expected uint8 faces (N, 32, 32, 3) or (N, 64, 64, 3), got {x.dtype} {tuple(x.shape)}. Float images "
            "(N, 3, H, W) in [-1, 1] go through images.to_uint8 first."
        )
    where = torch.device(device) if device else runtime.device()
    judge = judge or load_face_judge(where)
    found: list[tuple[Tensor, ...]] = []
    for part in x.split(batch_size):
        features = judge.features(pixels.to_float(part.to(where)).contiguous(memory_format=torch.channels_last))
        logits, numbers = judge.read(features)
        likely = [one.softmax(dim=1).max(dim=1) for one in logits.split(faces.CLASSES, dim=1)]
        labels = torch.stack([indices for _, indices in likely], dim=1)
        confidence = torch.stack([values for values, _ in likely], dim=1)
        found.append(tuple(t.cpu() for t in (features, labels, from_unit(numbers), confidence)))
    features, labels, values, confidence = (torch.cat(parts) for parts in zip(*found, strict=True))
    return FaceJudgement(features, faces.Factors(labels, values), confidence)


def to_unit(values: Tensor) -> Tensor:
    """Return the numbers (N, 6) of heads with their ranges brought to -1 … 1."""
    low, high = _ends(values)
    return (2 * values - low - high) / (high - low)


def from_unit(numbers: Tensor) -> Tensor:
    """Return numbers -1 … 1 in the ranges of heads; what lies outside is brought to the ends."""
    low, high = _ends(numbers)
    return (low + high) / 2 + numbers.clamp(-1, 1) * (high - low) / 2


def _ends(like: Tensor) -> tuple[Tensor, Tensor]:
    low, high = (like.new_tensor([getattr(span, end) for span in RANGES]) for end in ("low", "high"))
    return low, high


# ---------------------------------------------------------------------------------------------- its training


@dataclass(frozen=True)
class FaceJudgeRecipe:
    """The hyper-parameters of the judge's training.

    Attributes:
        steps: minibatches in all.
        batch_size: pictures per minibatch; half of them are seen at 32 pixels.
        lr: the peak of the one-cycle schedule for AdamW.
        weight_decay: of AdamW.
        noise: half of the pictures get Gaussian noise whose standard deviation is drawn from 0 … this.
        numbers: the weight of the squared errors of the numbers beside the cross entropies of the labels.
        bfloat16: whether the features are computed in it: 1.7 times as fast on a processor that has it.
    """

    steps: int = 6_000
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.02
    noise: float = 0.1
    numbers: float = 2.0
    bfloat16: bool = True


RECIPES = {
    "smoke": FaceJudgeRecipe(steps=6, batch_size=20),
    "cpu": FaceJudgeRecipe(),
    "gpu": FaceJudgeRecipe(steps=20_000, bfloat16=False),
}


def face_loss(logits: Tensor, numbers: Tensor, factors: faces.Factors, seen: Tensor, weight: float) -> Tensor:
    """Return the mean cross entropy of the labels, plus `weight` times the mean squared error of the numbers.

    Args:
        logits, numbers: from :meth:`FaceJudge.read`, of N heads.
        factors: what these heads are like.
        seen: bool (N, 8), which labels can be seen; the others do not count. Each must be seen in some picture.
        weight: of the numbers.
    """
    parts = zip(logits.split(faces.CLASSES, dim=1), factors.labels.T, seen.T, strict=True)
    entropies = [F.cross_entropy(one[there], label[there]) for one, label, there in parts]
    return torch.stack(entropies).mean() + weight * F.mse_loss(numbers, to_unit(factors.values))


def _views(pictures: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Return uint8 pictures (N, 64, 64, 3) as the judge meets them in training: half of them at 32 pixels, half noisy.

    Both sizes are in every minibatch, since BatchNorm's averages are to hold for both.
    """
    half = len(pictures) // 2
    small, large = faces.halve(pictures[:half]), pictures[half:]
    small, large = (judges.grainy(pixels.to_float(part), noise, generator) for part in (small, large))
    return torch.cat([_doubled(small), large]).contiguous(memory_format=torch.channels_last)


def train_face_judge(
    profile: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    *,
    device: str | None = None,
    recipe: FaceJudgeRecipe | None = None,
) -> dict[str, Any]:
    """Train the judge of faces into the folder `out` and return its card.

    Writes ``faces-judge.safetensors`` (kernels and matrices in half precision), ``faces-judge.json`` (the card, with
    the checksum; measured with the weights as they are stored) and ``card.md`` (the same for people).

    Args:
        profile: smoke, cpu or gpu (None: as :func:`gancourse.runtime.profile` finds it).
        seed: fixes the weights' start, the order of the data and the noise.
        out: a folder, which must not hold this judge yet; None is ``runs/faces-judge``.
        device: None for the machine's best.
        recipe: hyper-parameters; None takes the profile's.

    Raises:
        UserError: the folder holds a judge already, or a setting is out of range.
    """
    profile, where, out = runtime.profile(profile), runtime.device(device), Path(out or f"runs/{NAME}")
    recipe = recipe or RECIPES[profile]
    if (out / f"{NAME}.safetensors").exists():
        raise UserError(f"{out} already holds a judge. Choose another folder with --out, or remove that one.")
    runtime.make_folder(out)
    runtime.seed_everything(seed)
    train, test = faces.load("train", device=where), faces.load("test", quiet=True)
    begin = time.process_time()
    judge = _fit(recipe, train, seed)
    minutes = (time.process_time() - begin) / 60
    _put(judge, weights := _stored(judge))
    read = {str(size): accuracy(judge, test, size) for size in reversed(SIZES)}
    card = {
        "recipe": NAME,
        "profile": profile,
        "seed": seed,
        "data": f"drawn faces {train.source}, train split, {len(train):,} heads",
        "measured_on": f"drawn faces {test.source}, test split, {len(test):,} heads",
        "read": read,
        "short": short(read),
        "bare": accuracy(judge, bare(test)),
        "cpu_minutes": round(minutes, 1),
        "device": runtime.describe_device(where),
        "settings": asdict(recipe),
        "parameters": sum(p.numel() for p in judge.parameters()),
    }
    return judges.keep(out, weights, card, describe_face_judge)


def _fit(recipe: FaceJudgeRecipe, data: faces.Faces, seed: int) -> FaceJudge:
    """Train a new judge on `data`; return it in eval mode."""
    judge = FaceJudge().to(data.images.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    generator = torch.Generator().manual_seed(seed)
    visible = data.factors.visible()
    batches = judges.minibatches(len(data), recipe.batch_size, recipe.steps, generator)
    for index in runtime.progress(batches, total=recipe.steps, desc=NAME):
        index = index.to(data.images.device)
        x = _views(data.images[index], recipe.noise, generator)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            features = judge.features(x)
        loss = face_loss(*judge.read(features.float()), data.factors[index], visible[index], recipe.numbers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def accuracy(judge: FaceJudge, data: faces.Faces, size: int = 64) -> dict[str, float]:
    """Return how well a judge in eval mode reads faces at 64 pixels whose factors are known, as they are or at 32.

    For each label it is the share that is read right of those that can be seen; for each number it is R², which is 1
    less the mean squared error divided by the number's variance.
    """
    images = data.images if size == 64 else faces.halve(data.images)
    found = judge_faces(images, next(judge.parameters()).device, judge=judge).factors
    true, visible = data.factors, data.factors.visible()
    shares: dict[str, float] = {}
    for k, part in enumerate(PARTS):
        right = (found.labels[:, k] == true.labels[:, k])[visible[:, k]]
        shares[part.name] = round(float(right.double().mean()), 4)
    for k, span in enumerate(RANGES):
        error = (found.values[:, k] - true.values[:, k]).double().square().mean()
        shares[span.name] = round(float(1 - error / true.values[:, k].double().var()), 4)
    return shares


def bare(data: faces.Faces) -> faces.Faces:
    """Return the faces without hat and beard, which cover brows and mouth."""
    shown = torch.ones(len(data), dtype=torch.bool, device=data.labels.device)
    for part in PARTS:
        covers = torch.tensor([value in part.covers for value in part.values], device=shown.device)
        shown &= ~covers[data.factors.column(part.name)]
    return replace(data, images=data.images[shown], factors=data.factors[shown])


def short(read: dict[str, dict[str, float]]) -> list[str]:
    """Return which factors fall short of what is wanted, such as ``"eyes at 32: 0.93"``."""
    labels = {part.name for part in PARTS}
    return [
        f"{name} at {size}: {value}"
        for size, values in read.items()
        for name, value in values.items()
        if value < (WANTED[int(size)] if name in labels else WANTED_R2) and not (size == "32" and name in SMALL)
    ]


def describe_face_judge(card: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    settings = ", ".join(f"{name} {value}" for name, value in card["settings"].items())
    rows = []
    for factor in (*PARTS, *RANGES):
        at = [values[factor.name] for values in (card["read"]["64"], card["read"]["32"], card["bare"])]
        label = factor in PARTS
        rows.append(
            f"| {factor.name} | " + " | ".join(f"{100 * v:.2f} %" if label else f"R² {v:.3f}" for v in at) + " |"
        )
    missed = ", ".join(card["short"]) or "none"
    return f"""# {card["recipe"]}

A convolutional network with {card["parameters"]:,} parameters that reads the factors of drawn faces at 32 and 64
pixels. Its {FEATURES} features and what it reads measure generated faces (`gancourse.metrics.face_report`).

| factor | at 64 pixels | at 32 pixels | at 64 pixels, no hat or beard |
|---|---|---|---|
{chr(10).join(rows)}

Measured on {card["measured_on"]}; a label that cannot be seen (hair under a hat has no
colour) is left out. Wanted, before the judge was trained, were {100 * WANTED[64]:.0f} % of each label at 64 pixels and
{100 * WANTED[32]:.0f} % at 32, and R² {WANTED_R2} of each number, but for mouth and brows at 32.
What falls short: {missed}.
A beard covers the mouth, a hat the brows, and so does some hair: the last column is for heads without hat or beard.

| | |
|---|---|
| trained on | {card["data"]} |
| the drawings | Pablo Stanley (Avataaars), in python-avatars, MIT, © 2021 Ibon |
| time | {card["cpu_minutes"]} minutes of processor time on {card["device"]} |
| profile, seed | {card["profile"]}, {card["seed"]} |
| settings | {settings} |
| file | {card["bytes"]:,} bytes, sha256 `{card["sha256"]}` |
| made with | gancourse {card["versions"]["gancourse"]}, PyTorch {card["versions"]["torch"]} |
"""
