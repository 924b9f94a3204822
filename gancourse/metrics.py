"""How good are the samples? Modes of 2-D mixtures, distances between samples, and how judges see pictures.

Distances and shares are taken between *features*: points of the plane as they are, or what a fixed network (a
judge) says about pictures. A figure means something only beside its protocol: every report carries the number
of samples and the features it was made with, and :func:`compare` refuses two reports whose protocols differ.
Reports on digits and on clothes carry the figures that frame them too (real against real, and uniform noise
against real).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
FASHION_STATISTICS = judges.WEIGHTS / "fashion-statistics.safetensors"
CLASS_SHARE = 0.01
"""A class counts as present when at least this share of the samples is labelled with it."""
CELLS = 10_000_000
"""So many entries of a table of distances or kernel values are held in memory at a time (80 MB)."""

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


# --------------------------------------------------------------------------------------- distances of samples


def feature_frechet(x: Array, y: Array) -> float:
    """Return the squared Fréchet distance of the Gaussians fitted to two samples: the FID's last step.

    Heusel et al. 2017, eq. 6 (arXiv:1706.08500); covariances are divided by N - 1. For finite samples the
    estimate is too large on average, by about a constant over N that depends on the generator too (Chong &
    Forsyth 2020, arXiv:1911.07023): compare at one N only, and a large one.

    Args:
        x, y: float (N, F) and (M, F), features of real and of generated pictures, in any order.

    Raises:
        UserError: integers, NaN, other shapes, different widths, or fewer than two rows.
    """
    a, b = _samples(x, y)
    for sample, name in ((a, "first"), (b, "second")):
        if len(sample) <= sample.shape[1]:
            warnings.warn(
                f"Fréchet distance: the {name} sample has {len(sample)} rows for {sample.shape[1]} features. Its "
                "covariance is singular and the distance far too large; take more samples, or use kid.",
                stacklevel=2,
            )
    cov_a, cov_b = (torch.cov(sample.T).reshape(2 * [sample.shape[1]]) for sample in (a, b))  # (F, F) if F is 1 too
    return frechet_distance(a.mean(dim=0), cov_a, b.mean(dim=0), cov_b)


class Estimate(NamedTuple):
    """A mean over repeats and the standard deviation of a single repeat (NaN where there is only one)."""

    mean: float
    std: float


def kid(x: Array, y: Array, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> Estimate:
    """Return the kernel Inception distance of two samples: MMD² with a cubic kernel, mean over random subsets.

    Bińkowski et al. 2018 (arXiv:1801.01401), section 4: k(x, y) = (x·y / F + 1)³, unbiased estimator on each
    subset. The expectation does not depend on the subset's size; near equality single values are negative as
    often as positive. Subsets overlap, so `std` is the spread of one subset and not the error of the mean.

    Args:
        x, y: float (N, F) and (M, F).
        subsets, subset_size: how many subsets, and the rows of each sample in one, drawn without replacement.
        seed: of the draw.

    Raises:
        UserError: as in :func:`feature_frechet`, or a subset larger than a sample.
    """
    a, b = _samples(x, y)
    smaller = min(len(a), len(b))
    if subsets < 1 or not 2 <= subset_size <= smaller:
        raise UserError(
            f"Expected at least 1 subset of 2 to {smaller} rows, got {subsets} of {subset_size}; the smaller "
            f"sample has {smaller} rows. Pass subset_size=…, or use kid_full, which takes all rows."
        )
    generator = torch.Generator().manual_seed(seed)
    pick = [torch.randperm(len(s), generator=generator)[:subset_size] for _ in range(subsets) for s in (a, b)]
    values = torch.tensor([_mmd2(a[i], b[j]) for i, j in zip(pick[::2], pick[1::2], strict=True)]).double()
    return Estimate(float(values.mean()), float(values.std(correction=0)) if subsets > 1 else math.nan)


def kid_full(x: Array, y: Array) -> float:
    """Return the same unbiased MMD² as :func:`kid`, once, from all rows: work grows with (N + M)² F."""
    return _mmd2(*_samples(x, y))


def _mmd2(x: Tensor, y: Tensor) -> float:
    """Unbiased MMD²: Gretton et al. 2012, eq. 3, with the kernel of Bińkowski et al. 2018."""

    def total(a: Tensor, b: Tensor) -> float:
        return sum(float(_cubic(rows, b).sum()) for rows in _parts(a, b))

    n, m, width = len(x), len(y), x.shape[1]
    same_x = total(x, x) - float((x.square().sum(dim=1) / width + 1).pow(3).sum())  # without the diagonal
    same_y = total(y, y) - float((y.square().sum(dim=1) / width + 1).pow(3).sum())
    return same_x / (n * (n - 1)) + same_y / (m * (m - 1)) - 2 * total(x, y) / (n * m)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    value = (x @ y.T / x.shape[1]).add_(1)
    return value * value * value


def precision_recall(real: Array, fake: Array, k: int = 3) -> tuple[float, float]:
    """Return improved precision and recall, each 0 … 1.

    Kynkäänniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2: around every real point lies a ball that reaches
    to its k-th nearest other real point. Precision is the share of fakes inside at least one ball; recall is
    the same with the roles exchanged. Both depend on N, M and k, and one far outlier makes one huge ball.

    Args:
        real, fake: float (N, F) and (M, F).
        k: the paper uses 3.

    Raises:
        UserError: as in :func:`feature_frechet`, or k is not in 1 … N - 1 and M - 1.
    """
    a, b = _samples(real, fake, k)
    precision = (_balls(a, b, k, closed=True)[0] > 0).double().mean()
    recall = (_balls(b, a, k, closed=True)[0] > 0).double().mean()
    return float(precision), float(recall)


def density_coverage(real: Array, fake: Array, k: int = 5) -> tuple[float, float]:
    """Return density (0 upwards, 1 on average for equal distributions) and coverage (0 … 1).

    Naeem et al. 2020 (arXiv:2002.09797), as in their package prdc. Only real points get balls, as in
    :func:`precision_recall`. Density is how many balls hold a fake on average, divided by k; coverage is the
    share of balls that hold at least one fake. For equal distributions and M = N coverage is on average
    1 - [(N - 1) … (N - k)] / [(2N - 1) … (2N - k)], see :func:`coverage_of_equals`.

    Args:
        real, fake: float (N, F) and (M, F).
        k: the paper uses 5.

    Raises:
        UserError: as in :func:`precision_recall`; only the real sample needs more than k points.
    """
    a, b = _samples(real, fake, k, both=False)
    holding, held = _balls(a, b, k, closed=False)
    return float(holding.sum()) / (k * len(b)), float((held > 0).double().mean())


def coverage_of_equals(n: int, m: int, k: int = 5) -> float:
    """Return the expected coverage of `n` real points by `m` fakes of the same continuous distribution.

    The product over j = 1 … k of (n - j) / (n + m - j) is the chance that the k nearest of the other n + m - 1
    points are all real. Naeem et al. 2020 have it for n = m.
    """
    return 1 - math.prod((n - j) / (n + m - j) for j in range(1, k + 1))


def _balls(centres: Tensor, points: Tensor, k: int, closed: bool) -> tuple[Tensor, Tensor]:
    """Return how many balls hold each point (M,), and how many points each ball holds (N,).

    A ball reaches from its centre to the k-th nearest other centre; `closed` balls hold their surface.
    """
    holding, held, empty = torch.zeros(len(points), dtype=torch.long), [], 0
    for rows in _parts(centres, centres if len(centres) > len(points) else points):
        radius = _distances(rows, centres).topk(k + 1, dim=1, largest=False).values[:, k:]  # the nearest is itself
        distance = _distances(rows, points)
        inside = distance <= radius if closed else distance < radius
        holding += inside.sum(dim=0)
        held.append(inside.sum(dim=1))
        empty += int((radius == 0).sum())
    if empty:
        warnings.warn(
            f"{empty} of {len(centres)} points have {k} or more exact copies: their balls are empty. Are pictures "
            "repeated, or has the generator collapsed?",
            stacklevel=3,
        )
    return holding, torch.cat(held)


def _parts(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Return x in parts of rows, so that a table of one part against y has at most `CELLS` entries."""
    return x.split(max(1, CELLS // len(y)))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances (N, M); what rounding leaves of a copy's distance, about 1e-8 ‖x‖, becomes 0."""
    distance = torch.cdist(x, y)
    return distance.masked_fill_(distance <= 1e-6 * x.norm(dim=1, keepdim=True), 0)


def inception_score(probabilities: Array, splits: int = 1) -> Estimate:
    """Return exp of the mutual information (in nats) between a sample's index and its label: 1 … C.

    exp(mean over x of KL(p(y|x) ‖ p(y))), p(y) the mean of p(y|x): Salimans et al. 2016 (arXiv:1606.03498),
    section 4. The exponential turns nats into an effective number of classes. No real picture enters. With
    another judge than Inception v3 it is no published Inception Score, only the same formula.

    Args:
        probabilities: float (N, C), rows sum to 1.
        splits: the sample is cut into so many equal parts in the order given (papers use 10); mean and
            standard deviation over the parts.

    Raises:
        UserError: rows that are no probabilities, or more splits than rows.
    """
    p = _finite(probabilities, "probabilities", "(N, C)", ndim=2)
    if (p < 0).any() or not torch.allclose(p.sum(dim=1), torch.ones(len(p), dtype=p.dtype), atol=1e-4):
        raise UserError("Each row of probabilities must be non-negative and sum to 1; were logits passed?")
    if not 1 <= splits <= len(p):
        raise UserError(f"Expected 1 to {len(p)} splits for {len(p)} rows, got {splits}.")
    scores = []
    for part in p.tensor_split(splits):
        marginal = part.mean(dim=0)
        scores.append((torch.xlogy(part, part) - torch.xlogy(part, marginal)).sum(dim=1).mean().exp())
    values = torch.stack(scores)
    return Estimate(float(values.mean()), float(values.std(correction=0)) if splits > 1 else math.nan)


class Neighbours(NamedTuple):
    """The nearest real item of each of M fakes: Euclidean distances float64 (M,), indices int64 (M,)."""

    distances: Tensor
    indices: Tensor


def nearest(real: Array, fake: Array) -> Neighbours:
    """Return the real item nearest to each fake: the first look for memorised training data.

    A distance of 0 is a copy. Otherwise a distance says little alone: set it beside the distances of held-out
    real items to the same `real`. In pixels, a copy moved by one pixel is far away; features see it.

    Args:
        real, fake: features float (N, F) and (M, F); or images, both uint8 (N, H, W, C) or both float
            (N, C, H, W) in [-1, 1]. Bytes are taken as x / 127.5 - 1, so that both kinds give one number.

    Raises:
        UserError: one of them uint8 and the other float, ranges that do not fit, NaN, or different shapes.
    """
    x, y = (torch.as_tensor(value).detach() for value in (real, fake))
    if x.ndim == 4:
        x, y = _flat_images(x, y)
    a, b = _samples(x, y, at_least=1)
    index = torch.cat([torch.cdist(rows, a).argmin(dim=1) for rows in _parts(b, a)])
    return Neighbours((b - a[index]).norm(dim=1), index)  # exact: a copy is at 0, not at a rounding error


def _flat_images(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.dtype != y.dtype or x.shape[1:] != y.shape[1:]:
        raise UserError(
            f"Expected two batches of images of one type and size, got {x.dtype} {tuple(x.shape)} and {y.dtype} "
            f"{tuple(y.shape)}. images.to_uint8 and images.to_float convert."
        )
    if x.dtype == torch.uint8:
        x, y = pixels.to_float(x), pixels.to_float(y)
    lows, highs = [float(v.min()) for v in (x, y)], [float(v.max()) for v in (x, y)]
    if min(lows) < -1.001 or max(highs) > 1.001 or (min(lows) < -0.5 and max(lows) >= 0):
        raise UserError(
            f"Float images must lie in [-1, 1], both of them; got {lows[0]:.3g} to {highs[0]:.3g} and "
            f"{lows[1]:.3g} to {highs[1]:.3g}. Images in [0, 1] become x * 2 - 1."
        )
    return x.flatten(1), y.flatten(1)


def _samples(x: Array, y: Array, k: int | None = None, both: bool = True, at_least: int = 2) -> tuple[Tensor, Tensor]:
    """Return two samples (N, F) and (M, F) in float64 after checking them; k neighbours must exist in them."""
    a, b = (_finite(value, f"{name} sample", "(N, F)", ndim=2) for value, name in ((x, "first"), (y, "second")))
    if a.shape[1] != b.shape[1]:
        raise UserError(
            f"The samples have {a.shape[1]} and {b.shape[1]} features. Make both with the same judge, at one size."
        )
    if min(len(a), len(b)) < at_least:
        raise UserError(f"Expected at least {at_least} rows in each sample, got {len(a)} and {len(b)}.")
    smallest = min(len(a), len(b)) if both else len(a)
    if k is not None and not (isinstance(k, int) and 1 <= k < smallest):
        raise UserError(f"Expected k from 1 to {smallest - 1}, one less than the points that have balls, got {k}.")
    for sample, name in ((a, "first"), (b, "second")):
        if len(sample) > 1 and (sample == sample[0]).all():
            warnings.warn(
                f"All {len(sample)} rows of the {name} sample are the same: constant images, or a generator that "
                "has collapsed to one.",
                stacklevel=3,
            )
    return a, b


# ----------------------------------------------------------------------------------------- within each class


def class_diversity(
    features: Array, labels: Array, classes: int = judges.CLASSES, per_class: int | None = 500, seed: int = 0
) -> Tensor:
    """Return the mean Euclidean distance of two different samples of a class, float64 (classes,), in feature units.

    The mean goes over all pairs of a class, of at most `per_class` samples; its expectation does not depend on
    how many those are. One memorised picture per class gives 0, and k of them, drawn equally often, about 1 - 1/k
    of what the data have: it finds a collapsed class, and says little of larger memories (see :func:`nearest`).
    Wrong labels give too much, because the pairs then reach from one class to another: read it beside the share
    of right labels.

    Args:
        features: float (N, F).
        labels: int (N,), 0 … classes - 1.
        classes: how many classes there are.
        per_class: how many samples of a class are taken, at random if there are more; None takes them all.
        seed: of that draw.

    A class with fewer than two samples has no pair: its value is NaN, and a warning names it.

    Raises:
        UserError: features that are not finite floats (N, F), labels that are not N whole numbers in that range,
            or a `per_class` below 2.
    """
    x = _finite(features, "features", "(N, F)", ndim=2)
    y = _checked_labels(labels, len(x), classes)
    if per_class is not None and per_class < 2:
        raise UserError(f"Distances need pairs: expected per_class of at least 2, or None for all, got {per_class}.")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, y = x[order], y[order]
    found = [_mean_distance(x[y == label][:per_class]) for label in range(classes)]
    lonely = [str(label) for label, value in enumerate(found) if math.isnan(value)]
    if lonely:
        what = f"class {lonely[0]} has" if len(lonely) == 1 else f"classes {', '.join(lonely)} have"
        warnings.warn(f"Diversity: {what} fewer than 2 samples, and so no distance.", stacklevel=2)
    return torch.tensor(found, dtype=torch.float64)


def _mean_distance(x: Tensor) -> float:
    return float(torch.pdist(x).mean()) if len(x) > 1 else math.nan


def _checked_labels(labels: Array, n: int, classes: int) -> Tensor:
    """Return `labels` as int64 (n,) on the CPU after checking their kind, number and range."""
    y = torch.as_tensor(labels).detach().cpu()
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if tuple(y.shape) != (n,) or not whole:
        raise UserError(f"Expected one whole-number label per image, ({n},), got {y.dtype} {tuple(y.shape)}.")
    y = y.long()
    if n and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise UserError(f"Labels go from 0 to {classes - 1}, got {int(y.min())} to {int(y.max())}.")
    return y


# ----------------------------------------------------------------------------------------- digits and clothes


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a judge says about N images.

    Attributes:
        features: float32 (N, 64), see :meth:`gancourse.systems.judges.Judge.features`.
        labels: int64 (N,), the most likely class.
        confidence: float32 (N,), its probability, 0.1 … 1.
        probabilities: float32 (N, 10), of all classes, for :func:`inception_score`.
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
        diversity: float64 (10,), :func:`class_diversity` of all the images of a set whose classes are known, else
            None.
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
    return _judge("digits-judge", images, device, batch_size)


def judge_fashion(images: Array, device: str | torch.device | None = None, batch_size: int = 500) -> Judgement:
    """Let the shipped fashion judge look at uint8 clothes; shapes and errors are those of :func:`judge_digits`."""
    return _judge("fashion-judge", images, device, batch_size)


@torch.no_grad()
def _judge(name: str, images: Array, device: str | torch.device | None, batch_size: int = 500) -> Judgement:
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
    x = _finite(features, "features", "(N, F)", ndim=2)
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
    return torch.randint(256, (n, 28, 28, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


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
        - ``label_kl_uniform``: the same with q = 1/10 for every class: for a conditional generator that was asked
          for all classes equally often. The true test split has 0.002 of MNIST's own unevenness here.
        - ``classes``: how many classes have at least 1 % of the images, 0 … 10.
        - ``confidence``: the mean probability that the judge gives its labels, 0 … 1.

        and with those that need `labels`, and are None without them. They speak of the classes that were asked
        for; diversity needs a class to be asked for twice, and a warning names those that were not.

        - ``label_accuracy``: the share of images that the judge labels as asked.
        - ``label_accuracy_min``: the smallest of these shares over the classes that were asked for.
        - ``diversity``: :func:`class_diversity` of the images, grouped by the class that was asked for, as a
          multiple of the real reference split's, averaged over the classes. Real digits score 1, ten memorised
          pictures 0; a generator that ignores its labels scores above 1, so read it beside ``label_accuracy``.
          Of each class at most 500 images are taken, with a fixed seed.
        - ``diversity_min``: the smallest of these multiples over the classes.

    Raises:
        UserError: images or labels of another type or shape, labels that are no digits, or an unknown data or
            reference.
    """
    return _report("digits-judge", "digit_fid", images, labels, data, reference, device)


def fashion_report(
    images: Array,
    labels: Array | None = None,
    *,
    data: str = "auto",
    reference: str = "test",
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure generated clothes against those of Fashion-MNIST, in the features and labels of the fashion judge.

    Arguments, keys and errors are those of :func:`digit_report`, but for the names of the distances:
    ``fashion_fid``, ``fashion_fid_floor``, ``fashion_fid_uniform`` and ``fashion_fid_percent``. It is another
    judge on other data: a fashion distance is never comparable with a digit distance, and :func:`compare` refuses.

    Clothes are harder to tell apart than digits (pullover, coat, shirt). The judge labels real test pictures
    right less often, ``gancourse.systems.judges.judge_card("fashion-judge")["accuracy"]``: a perfect conditional
    generator has this ``label_accuracy``, with shirts far below it, and more of it means pictures that are more
    typical than the real ones. The judge was trained on mirrored pictures too: it labels them as well, but its
    features see the difference, because real shoes point to the left.
    """
    return _report("fashion-judge", "fashion_fid", images, labels, data, reference, device)


def _report(
    judge: str,
    fid: str,
    images: Array,
    labels: Array | None,
    data: str,
    reference: str,
    device: str | torch.device | None,
) -> dict[str, Any]:
    data = "full" if data == "auto" else data
    if data not in ("full", "mini"):
        raise unknown("data", data, ("auto", "full", "mini"))
    if reference not in digits.SPLITS:
        raise unknown("reference", reference, digits.SPLITS)
    judgement = _judge(judge, images, device)
    pictures = torch.as_tensor(images)
    if len(pictures) > 1 and bool((pictures == pictures[:1]).all()):
        warnings.warn(
            f"All {len(pictures)} images are the same: constant images, or a generator that has collapsed to one.",
            stacklevel=3,
        )
    asked = None if labels is None else _checked_labels(labels, len(judgement.labels), judges.CLASSES)
    found = statistics(judgement.features, judgement.labels, fid)
    real = reference_statistics(f"{data}-{reference}", judge)
    other = reference_statistics(f"{data}-{'train' if reference == 'test' else 'test'}", judge)
    distance, uniform = _distance(found, real), _distance(reference_statistics("uniform", judge), real)
    return {
        "data": data,
        "reference": reference,
        "judge": judges.judge_card(judge)["sha256"][:12],
        "n": len(judgement.labels),
        fid: distance,
        f"{fid}_floor": _distance(other, real),
        f"{fid}_uniform": uniform,
        f"{fid}_percent": 100 * distance / uniform,
        "label_kl": label_kl(found.labels, real.labels),
        "label_kl_uniform": label_kl(found.labels, torch.ones(judges.CLASSES)),
        "classes": int((found.labels >= CLASS_SHARE * len(judgement.labels)).sum()),
        "confidence": float(judgement.confidence.mean()),
        **_conditional(judgement, asked, real),
    }


def _distance(first: Statistics, second: Statistics) -> float:
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def _conditional(judgement: Judgement, asked: Tensor | None, real: Statistics) -> dict[str, float | None]:
    """Return the figures of a report that need the classes that were asked for; all None without them."""
    keys = ("label_accuracy", "label_accuracy_min", "diversity", "diversity_min")
    if asked is None:
        return dict.fromkeys(keys)
    right = (judgement.labels == asked).double()
    shares = [float(right[asked == label].mean()) for label in asked.unique()]
    assert real.diversity is not None  # every reference split ships with it
    ratio = class_diversity(judgement.features, asked) / real.diversity
    ratio = ratio[~ratio.isnan()]
    spread = (float(ratio.mean()), float(ratio.min())) if len(ratio) else (None, None)
    return dict(zip(keys, (float(right.mean()), min(shares), *spread), strict=True))


# ------------------------------------------------------------------------------------------ reports to compare


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


def feature_report(real: Features, fake: Features, *, subset_size: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Measure generated pictures against real ones in the same features, with every distance of this module.

    Returns:
        A dictionary with the keys

        - ``features``, ``n_real``, ``n_fake``, ``subset_size``: the protocol; k is 3 and 5 as in the papers.
        - ``frechet``: :func:`feature_frechet`; an FID where the features are Inception's.
        - ``kid``, ``kid_std``: :func:`kid`, 100 subsets.
        - ``precision``, ``recall``, ``density``, ``coverage``.

    Raises:
        UserError: features of two sources, or what the single measures refuse.
    """
    if real.source != fake.source:
        raise UserError(
            f"The real features are from {real.source!r}, the fake ones from {fake.source!r}: make both anew."
        )
    distance = kid(real.values, fake.values, subset_size=subset_size, seed=seed)
    precision, recall = precision_recall(real.values, fake.values)
    density, coverage = density_coverage(real.values, fake.values)
    return {
        "features": real.source,
        "n_real": len(real.values),
        "n_fake": len(fake.values),
        "subset_size": subset_size,
        "frechet": feature_frechet(real.values, fake.values),
        "kid": distance.mean,
        "kid_std": distance.std,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
    }


PROTOCOL = ("features", "judge", "data", "reference", "n", "n_real", "n_fake", "subset_size")
"""The keys of a report that must agree before its figures may be compared."""


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """Return second less first for each figure that two reports share, if their protocols are the same.

    Args:
        first, second: from :func:`feature_report`, or both from :func:`digit_report` or :func:`fashion_report`.

    Raises:
        UserError: features, sample counts or the reference differ, or one report does not name its features.
    """
    for name, report in (("first", first), ("second", second)):
        if not (report.get("features") or report.get("judge")):
            raise UserError(f"The {name} report does not say which features it was made with: measure again.")
    for key in PROTOCOL:
        if first.get(key) != second.get(key):
            raise UserError(
                f"These reports do not compare: {key} is {first.get(key)!r} in the first and {second.get(key)!r} in "
                "the second. Measure both in one way."
            )
    figures = [key for key, value in first.items() if key not in PROTOCOL and isinstance(value, float)]
    return {key: second[key] - first[key] for key in figures if isinstance(second.get(key), float)}
