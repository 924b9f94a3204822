"""Distances between two samples of features, and the spread within one: the features may come from anywhere."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from gancourse import images as pixels
from gancourse.errors import UserError
from gancourse.metrics.inputs import Array, checked_labels, finite

CELLS = 10_000_000
"""So many entries of a table of distances or kernel values are held in memory at a time (80 MB)."""

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
    m1, m2 = (finite(m, "mean", "(F,)", ndim=1) for m in (mean1, mean2))
    c1, c2 = (finite(c, "covariance", "(F, F)", ndim=2) for c in (cov1, cov2))
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
    subset. The expectation does not depend on the subset's size; near equality single values are negative more
    often than not. Subsets overlap, so `std` is the spread of one subset and not the error of the mean.

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
    orders = [torch.randperm(len(s), generator=generator, device="cpu") for _ in range(subsets) for s in (a, b)]
    pick = [order[:subset_size] for order in orders]
    found = [_mmd2(a[i], b[j]) for i, j in zip(pick[::2], pick[1::2], strict=True)]
    values = torch.tensor(found, device="cpu").double()
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
    holding, held, empty = points.new_zeros(len(points), dtype=torch.long), [], 0
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
    p = finite(probabilities, "probabilities", "(N, C)", ndim=2)
    if (p < 0).any() or not torch.allclose(p.sum(dim=1), p.new_ones(len(p)), atol=1e-4):
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
    a, b = (finite(value, f"{name} sample", "(N, F)", ndim=2) for value, name in ((x, "first"), (y, "second")))
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
    features: Array, labels: Array, classes: int = 10, per_class: int | None = 500, seed: int = 0
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
    x = finite(features, "features", "(N, F)", ndim=2)
    y = checked_labels(labels, len(x), classes)
    if per_class is not None and per_class < 2:
        raise UserError(f"Distances need pairs: expected per_class of at least 2, or None for all, got {per_class}.")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed), device="cpu")
    x, y = x[order], y[order]
    found = [_mean_distance(x[y == label][:per_class]) for label in range(classes)]
    lonely = [str(label) for label, value in enumerate(found) if math.isnan(value)]
    if lonely:
        what = f"class {lonely[0]} has" if len(lonely) == 1 else f"classes {', '.join(lonely)} have"
        warnings.warn(f"Diversity: {what} fewer than 2 samples, and so no distance.", stacklevel=2)
    return torch.tensor(found, dtype=torch.float64, device="cpu")


def _mean_distance(x: Tensor) -> float:
    return float(torch.pdist(x).mean()) if len(x) > 1 else math.nan
