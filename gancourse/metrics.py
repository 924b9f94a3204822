"""How good are the samples? Modes of 2-D mixtures, a Fréchet distance and label shares for digits.

A figure means something only beside its protocol: every report carries the number of samples, and digits'
reports carry the figures that frame them (real against real, and uniform noise against real).
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gancourse import images as pixels
from gancourse import runtime
from gancourse.datasets import digits, toy
from gancourse.errors import UserError, unknown
from gancourse.systems import judges

Array = Tensor | np.ndarray

STATISTICS = judges.WEIGHTS / "digit-statistics.safetensors"
CLASS_SHARE = 0.01
"""A class counts as present when at least this share of the samples is labelled with it."""

# ----------------------------------------------------------------------------------------------- 2-D mixtures


def mode_report(points: Array, mixture: toy.Mixture) -> dict[str, Any]:
    """Measure points against a mixture of K Gaussians in the plane (protocol of PacGAN's code).

    A point belongs to the mode whose centre is nearest (L2); it is of high quality when it lies within 3
    standard deviations of that centre. The published protocol draws 2,500 points.

    Args:
        points: float (N, 2).
        mixture: the distribution they should come from (``gancourse.datasets.toy``).

    Returns:
        A dictionary with the keys

        - ``n``: N.
        - ``modes``: how many modes have at least one high-quality point, 0 … K.
        - ``modes_of``: K.
        - ``high_quality``: the share of high-quality points, 0 … 1. A perfect sampler scores 1 - e^(-9/2) =
          0.989; much more than that means modes that have shrunk.
        - ``reverse_kl``: KL(p ‖ uniform) in nats, where p is the share of each mode among the high-quality
          points (points of lower quality are left out, as in PacGAN's code). Between 0 and log K; with no
          high-quality point at all it is log K, the worst value.
        - ``reverse_kl_floor``: (K - 1) / 2N, what a perfect sampler scores on average.

    Raises:
        UserError: the points are not finite floats of shape (N, 2).
    """
    x = _finite(points, "points", "(N, 2)", ndim=2, width=2)
    centres = mixture.centres.to(x)
    count = len(centres)
    distance, nearest = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    good = distance <= 3 * mixture.std
    hits = torch.bincount(nearest[good], minlength=count)
    return {
        "n": len(x),
        "modes": int((hits > 0).sum()),
        "modes_of": count,
        "high_quality": float(good.double().mean()),
        "reverse_kl": label_kl(hits, torch.ones(count)) if good.any() else math.log(count),
        "reverse_kl_floor": (count - 1) / (2 * len(x)),
    }


def label_kl(counts: Array, reference: Array) -> float:
    """Return KL(p ‖ q) in nats, where p and q are the shares of two vectors of counts, both of shape (K,).

    Raises:
        UserError: the shapes differ, a count is negative, all are zero, or p has a class that q lacks.
    """
    p, q = (torch.as_tensor(v).cpu().double() for v in (counts, reference))
    if p.ndim != 1 or p.shape != q.shape or any((v < 0).any() or not v.sum() > 0 for v in (p, q)):
        raise UserError(
            f"Expected two vectors of counts of one length, got {tuple(p.shape)} and {tuple(q.shape)}; "
            "counts are not negative and not all zero."
        )
    if ((q == 0) & (p > 0)).any():
        raise UserError("The divergence is infinite: the samples have a class that the reference lacks.")
    p, q = p / p.sum(), q / q.sum()
    return max(0.0, float((torch.xlogy(p, p) - torch.xlogy(p, q)).sum()))


# ------------------------------------------------------------------------------------------- Fréchet distance


def frechet_distance(mean1: Array, cov1: Array, mean2: Array, cov2: Array) -> float:
    """Return the squared Fréchet (2-Wasserstein) distance of two Gaussians, as the FID uses it.

    ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½), Dowson & Landau 1982, eq. 4; Heusel et al. 2017, eq. 6.
    The inner product of roots is symmetric and positive semi-definite, so two real eigendecompositions in
    float64 do, and singular covariances need no fudge term.

    Args:
        mean1, mean2: float (F,).
        cov1, cov2: float (F, F), symmetric, positive semi-definite.

    Raises:
        UserError: shapes that do not fit, NaN or infinity, or a covariance that is not symmetric.
    """
    m1, m2 = (_finite(m, "mean", "(F,)", ndim=1) for m in (mean1, mean2))
    c1, c2 = (_finite(c, "covariance", "(F, F)", ndim=2) for c in (cov1, cov2))
    if not len(m1) == len(m2) == len(c1) == len(c2) == c1.shape[1] == c2.shape[1]:
        shapes = ", ".join(str(tuple(t.shape)) for t in (m1, c1, m2, c2))
        raise UserError(f"Expected means (F,) and covariances (F, F) with one F, got {shapes}.")
    for c in (c1, c2):
        if not torch.allclose(c, c.T, rtol=1e-5, atol=1e-6 * float(c.abs().max())):
            raise UserError("A covariance matrix must be symmetric; was a data matrix passed in its place?")
    values, vectors = torch.linalg.eigh(c1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = root @ c2 @ root
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    distance = (m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * cross
    return max(0.0, float(distance))


def _finite(value: Array, what: str, shape: str, ndim: int, width: int | None = None) -> Tensor:
    """Return `value` in float64 on the CPU after checking its kind, shape and values."""
    x = torch.as_tensor(value).detach()
    if not torch.is_floating_point(x) or x.ndim != ndim or len(x) == 0 or (width and x.shape[1] != width):
        raise UserError(f"Expected {what} as floats of shape {shape}, got {x.dtype} {tuple(x.shape)}.")
    x = x.cpu().double()
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise UserError(f"The {what} must be finite, got {bad} NaN or infinite values of {x.numel()}.")
    return x


# ----------------------------------------------------------------------------------------------------- digits


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the digit judge says about N images.

    Attributes:
        features: float32 (N, 64), see :meth:`gancourse.systems.judges.DigitJudge.features`.
        labels: int64 (N,), the most likely digit.
        confidence: float32 (N,), its probability, 0.1 … 1.
    """

    features: Tensor
    labels: Tensor
    confidence: Tensor


@dataclass(frozen=True, eq=False)
class Statistics:
    """The Gaussian that stands for a set of images in the judge's features, and the labels of the set.

    Attributes:
        mean: float64 (64,).
        covariance: float64 (64, 64), divided by N - 1.
        labels: int64 (10,), how many images each class has.
    """

    mean: Tensor
    covariance: Tensor
    labels: Tensor


@torch.no_grad()
def judge_digits(images: Array, device: str | torch.device | None = None, batch_size: int = 500) -> Judgement:
    """Let the shipped judge look at uint8 digits (N, 28, 28, 1), or (N, 32, 32, 1) less a margin of 2.

    Raises:
        UserError: the images have another type or shape, or there are none.
    """
    x = torch.as_tensor(images)
    if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) not in ((28, 28, 1), (32, 32, 1)) or len(x) == 0:
        raise UserError(
            f"Expected uint8 digits (N, 28, 28, 1) or (N, 32, 32, 1), got {x.dtype} {tuple(x.shape)}. "
            "Float images (N, 1, H, W) in [-1, 1] go through images.to_uint8 first."
        )
    margin = (x.shape[1] - 28) // 2
    where = torch.device(device) if device else runtime.device()
    judge = judges.load_judge(where)
    features, labels, confidence = [], [], []
    for part in x[:, margin : margin + 28, margin : margin + 28].split(batch_size):
        batch = pixels.to_float(part.to(where)).contiguous(memory_format=torch.channels_last)
        found = judge.features(batch)
        best = judge.classify(found).softmax(dim=1).max(dim=1)
        features.append(found.cpu())
        labels.append(best.indices.cpu())
        confidence.append(best.values.cpu())
    return Judgement(torch.cat(features), torch.cat(labels), torch.cat(confidence))


def statistics(features: Tensor, labels: Tensor) -> Statistics:
    """Return the statistics of features (N, 64) and labels (N,); warns when N is too small for them."""
    x = _finite(features, "features", "(N, F)", ndim=2)
    if len(x) < 2:
        raise UserError("A covariance needs at least 2 images; digit_fid is meant for 10,000.")
    if len(x) <= x.shape[1]:
        warnings.warn(
            f"digit_fid: {len(x)} images are too few for {x.shape[1]} features. The covariance is singular "
            "and the distance far too large; use 10,000 images.",
            stacklevel=3,
        )
    return Statistics(x.mean(dim=0), torch.cov(x.T), torch.bincount(labels, minlength=judges.CLASSES))


def uniform_noise(n: int = 10_000, seed: int = 0) -> Tensor:
    """Return n images of uniform noise, uint8 (n, 28, 28, 1): the sampler that has learned nothing."""
    return torch.randint(256, (n, 28, 28, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@functools.cache
def reference_statistics(name: str) -> Statistics:
    """Return shipped statistics: ``full-train, full-test, mini-train, mini-test`` or ``uniform``.

    They belong to the shipped judge, and the file says so: with another judge they are refused.

    Raises:
        UserError: there are none of that name, or the file is missing, damaged, or made with another judge.
    """
    try:
        with safe_open(STATISTICS, framework="pt") as file:
            made_with = (file.metadata() or {}).get("judge")
            names = sorted({key.rsplit(".", 1)[0] for key in file.keys()})
            if name not in names:
                raise unknown("statistics", name, names)
            mean, covariance, labels = (file.get_tensor(f"{name}.{part}") for part in ("mean", "covariance", "labels"))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{STATISTICS} is missing or damaged ({error}). Install gancourse again.") from None
    if made_with != judges.judge_card()["sha256"]:
        raise UserError(
            f"{STATISTICS} was made with another judge. Install gancourse again, or make it anew with "
            "python book/tools/make_statistics.py."
        )
    return Statistics(mean.double(), covariance.double(), labels)


def digit_report(
    images: Array,
    labels: Array | None = None,
    *,
    data: str = "auto",
    reference: str = "test",
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure generated digits against real ones, in the features and labels of the digit judge.

    The real digits' statistics ship with the package, so no data set is needed. The distance falls as N
    grows: compare figures at one N only (the course's is 10,000), and never with an Inception FID.

    Args:
        images: uint8 (N, 28, 28, 1), or (N, 32, 32, 1), whose margin of 2 pixels is cut off.
        labels: int (N,), the classes that were asked of a conditional generator, or None.
        data: ``"full"`` or ``"mini"`` MNIST as the real digits; ``"auto"`` is full.
        reference: the split to measure against: ``"test"``, or ``"train"`` while tuning.
        device: where the judge runs; None is the machine's best.

    Returns:
        A dictionary with the keys

        - ``data``, ``reference``: as above, ``"full"`` or ``"mini"`` and ``"test"`` or ``"train"``.
        - ``judge``: the first 12 digits of the judge's sha256; figures of different judges do not compare.
        - ``n``: N.
        - ``digit_fid``: the squared Fréchet distance to the reference split, in squared feature units.
        - ``digit_fid_floor``: the same between the real train and test splits.
        - ``digit_fid_uniform``: the same between uniform noise and the reference split.
        - ``digit_fid_percent``: 100 · digit_fid / digit_fid_uniform.
        - ``label_kl``: KL(p ‖ q) in nats, p the judge's labels of the images and q the true labels of the
          reference split. A perfect sampler scores about 9 / 2N.
        - ``classes``: how many classes have at least 1 % of the images, 0 … 10.
        - ``confidence``: the mean probability that the judge gives its labels, 0 … 1.
        - ``label_accuracy``: the share of images that the judge labels as asked, or None without labels.

    Raises:
        UserError: images or labels of another type or shape, or an unknown data or reference.
    """
    data = "full" if data == "auto" else data
    if data not in ("full", "mini"):
        raise unknown("data", data, ("auto", "full", "mini"))
    if reference not in digits.SPLITS:
        raise unknown("reference", reference, digits.SPLITS)
    judgement = judge_digits(images, device)
    found = statistics(judgement.features, judgement.labels)
    real = reference_statistics(f"{data}-{reference}")
    other = reference_statistics(f"{data}-{'train' if reference == 'test' else 'test'}")
    distance, uniform = _distance(found, real), _distance(reference_statistics("uniform"), real)
    return {
        "data": data,
        "reference": reference,
        "judge": judges.judge_card()["sha256"][:12],
        "n": len(judgement.labels),
        "digit_fid": distance,
        "digit_fid_floor": _distance(other, real),
        "digit_fid_uniform": uniform,
        "digit_fid_percent": 100 * distance / uniform,
        "label_kl": label_kl(found.labels, real.labels),
        "classes": int((found.labels >= CLASS_SHARE * len(judgement.labels)).sum()),
        "confidence": float(judgement.confidence.mean()),
        "label_accuracy": None if labels is None else _share_equal(judgement.labels, labels),
    }


def _distance(first: Statistics, second: Statistics) -> float:
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def _share_equal(found: Tensor, asked: Array) -> float:
    asked = torch.as_tensor(asked)
    if asked.shape != found.shape or torch.is_floating_point(asked):
        raise UserError(f"Expected one whole-number label per image, ({len(found)},), got {tuple(asked.shape)}.")
    return float((found == asked.cpu()).double().mean())
