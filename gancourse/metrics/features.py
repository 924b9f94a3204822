"""What a fixed network says about pictures: features and labels, their statistics, and those of the real data."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gancourse import images as pixels
from gancourse import runtime
from gancourse.errors import UserError, unknown
from gancourse.metrics import judges
from gancourse.metrics.inputs import Array, finite

STATISTICS = judges.WEIGHTS / "digit-statistics.safetensors"
FASHION_STATISTICS = judges.WEIGHTS / "fashion-statistics.safetensors"

# ----------------------------------------------------------------------------------------- digits and clothes


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a judge says about N images.

    Attributes:
        features: float32 (N, 64), see :meth:`gancourse.metrics.judges.Judge.features`.
        labels: int64 (N,), the most likely class.
        confidence: float32 (N,), its probability, 0.1 … 1.
        probabilities: float32 (N, 10), of all classes, for :func:`.inception_score`.
    """

    features: Tensor
    labels: Tensor
    confidence: Tensor
    probabilities: Tensor


@dataclass(frozen=True, eq=False)
class Statistics:
    """The Gaussian that stands for a set of images in the judge's features, and the labels of the set.

    Attributes:
        mean: float64 (64,).
        covariance: float64 (64, 64), divided by N - 1.
        labels: int64 (10,), how many images each class has.
        diversity: float64 (10,), :func:`.class_diversity` of all the images of a set whose classes are known,
            else None.
    """

    mean: Tensor
    covariance: Tensor
    labels: Tensor
    diversity: Tensor | None = None


def judge_digits(images: Array, device: str | torch.device | None = None, batch_size: int = 500) -> Judgement:
    """Let the shipped digit judge look at uint8 digits (N, 28, 28, 1), or (N, 32, 32, 1) less a margin of 2.

    Raises:
        UserError: the images have another type or shape, or there are none.
    """
    return judge_pictures("digits-judge", images, device, batch_size)


def judge_fashion(images: Array, device: str | torch.device | None = None, batch_size: int = 500) -> Judgement:
    """Let the shipped fashion judge look at uint8 clothes; shapes and errors are those of :func:`judge_digits`."""
    return judge_pictures("fashion-judge", images, device, batch_size)


@torch.no_grad()
def judge_pictures(name: str, images: Array, device: str | torch.device | None, batch_size: int = 500) -> Judgement:
    x = torch.as_tensor(images)
    if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) not in ((28, 28, 1), (32, 32, 1)) or len(x) == 0:
        raise UserError(
            f"Expected uint8 {judges.subject(name).data.items} (N, 28, 28, 1) or (N, 32, 32, 1), got {x.dtype} "
            f"{tuple(x.shape)}. Float images (N, 1, H, W) in [-1, 1] go through images.to_uint8 first."
        )
    margin = (x.shape[1] - 28) // 2
    where = torch.device(device) if device else runtime.device()
    judge = judges.load_judge(where, name)
    features, probabilities = [], []
    for part in x[:, margin : margin + 28, margin : margin + 28].split(batch_size):
        batch = pixels.to_float(part.to(where)).contiguous(memory_format=torch.channels_last)
        found = judge.features(batch)
        features.append(found.cpu())
        probabilities.append(judge.classify(found).softmax(dim=1).cpu())
    confidence, labels = torch.cat(probabilities).max(dim=1)
    return Judgement(torch.cat(features), labels, confidence, torch.cat(probabilities))


def statistics(features: Tensor, labels: Tensor, measure: str = "digit_fid") -> Statistics:
    """Return the statistics of features (N, 64) and labels (N,); warns when N is too small for `measure`."""
    x = finite(features, "features", "(N, F)", ndim=2)
    if len(x) < 2:
        raise UserError(f"A covariance needs at least 2 images; {measure} is meant for 10,000.")
    if len(x) <= x.shape[1]:
        warnings.warn(
            f"{measure}: {len(x)} images are too few for {x.shape[1]} features. The covariance is singular "
            "and the distance far too large; use 10,000 images.",
            stacklevel=4,
        )
    return Statistics(x.mean(dim=0), torch.cov(x.T), torch.bincount(labels, minlength=judges.CLASSES))


def uniform_noise(n: int = 10_000, seed: int = 0) -> Tensor:
    """Return n images of uniform noise, uint8 (n, 28, 28, 1): the sampler that has learned nothing."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 28, 28, 1), dtype=torch.uint8, generator=generator, device="cpu")


@functools.cache
def reference_statistics(name: str, judge: str = "digits-judge") -> Statistics:
    """Return shipped statistics: ``full-train, full-test, mini-train, mini-test`` or ``uniform``.

    They belong to the shipped `judge`, and the file says so: with another judge they are refused.

    Raises:
        UserError: there are none of that name, or the file is missing, damaged, or made with another judge.
    """
    path = statistics_file(judge)
    try:
        with safe_open(path, framework="pt") as file:
            made_with = (file.metadata() or {}).get("judge")
            keys = set(file.keys())
            names = sorted({key.rsplit(".", 1)[0] for key in keys})
            if name not in names:
                raise unknown("statistics", name, names)
            mean, covariance, labels = (file.get_tensor(f"{name}.{part}") for part in ("mean", "covariance", "labels"))
            diversity = file.get_tensor(f"{name}.diversity").double() if f"{name}.diversity" in keys else None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is missing or damaged ({error}). Install gancourse again.") from None
    if made_with != judges.judge_card(judge)["sha256"]:
        raise UserError(
            f"{path} was made with another judge. Install gancourse again, or make it anew with "
            "python book/tools/make_statistics.py."
        )
    return Statistics(mean.double(), covariance.double(), labels, diversity)


def statistics_file(judge: str) -> Path:
    """Return where the reference statistics of a judge stand."""
    return {"digits-judge": STATISTICS, "fashion-judge": FASHION_STATISTICS}[judge]


# ------------------------------------------------------------------------------- features and their source


@dataclass(frozen=True, eq=False)
class Features:
    """What a fixed network says about N pictures, and which network it was.

    Attributes:
        values: float (N, F).
        source: in words, such as ``"digit-judge 040139943d99"``; features of two sources never meet.
    """

    values: Tensor
    source: str


def digit_features(images: Array, device: str | torch.device | None = None) -> Features:
    """Return the digit judge's features (N, 64) of uint8 digits, as :func:`judge_digits` takes them."""
    return Features(judge_digits(images, device).features, digit_source())


def digit_source() -> str:
    """Return the name of the digit judge's features, with the first 12 digits of its sha256."""
    return f"digit-judge {judges.judge_card()['sha256'][:12]}"


def fashion_features(images: Array, device: str | torch.device | None = None) -> Features:
    """Return the fashion judge's features (N, 64) of uint8 clothes, as :func:`judge_fashion` takes them."""
    return Features(judge_fashion(images, device).features, fashion_source())


def fashion_source() -> str:
    """Return the name of the fashion judge's features, with the first 12 digits of its sha256."""
    return f"fashion-judge {judges.judge_card('fashion-judge')['sha256'][:12]}"


def inception_features(images: Array, device: str | torch.device | None = None, batch_size: int = 50) -> Features:
    """Return Inception-v3 features (N, 2048) of uint8 images (N, H, W, C), C being 1 or 3.

    Network, weights and resizing are torchmetrics' (``FrechetInceptionDistance(feature=2048)``), whose version
    is part of the source: other programs resize otherwise, and their figures differ. Needs the packages
    torchmetrics and torch-fidelity, and the network once, for 90 MB of weights. This path was tested with a
    small stand-in for the network only; no figure of the course comes from it.

    Raises:
        UserError: images of another type or shape, or the network is not to be had.
    """
    x = torch.as_tensor(images)
    if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[3] not in (1, 3) or len(x) == 0:
        raise UserError(
            f"Expected uint8 images (N, H, W, C) with C = 1 or 3, got {x.dtype} {tuple(x.shape)}. "
            "Float images (N, C, H, W) in [-1, 1] go through images.to_uint8 first."
        )
    where = torch.device(device) if device else runtime.device()
    network, source = _inception(where)
    with torch.no_grad():
        parts = [
            network(part.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).to(where)).cpu() for part in x.split(batch_size)
        ]
    return Features(torch.cat(parts), source)


def _inception(where: torch.device) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return torchmetrics' Inception network, uint8 (N, 3, H, W) → float (N, 2048), and its name."""
    try:
        fid = importlib.import_module("torchmetrics.image.fid")
        network = fid.FrechetInceptionDistance(feature=2048).inception.to(where).eval()
    except (ImportError, OSError) as error:  # without torch-fidelity torchmetrics raises an ImportError too
        raise UserError(
            f"Inception's features cannot be had here ({type(error).__name__}: {error}). They need "
            "pip install torchmetrics torch-fidelity, and a connection for the weights."
        ) from None
    return network, f"inception-v3 (torchmetrics {importlib.metadata.version('torchmetrics')})"
