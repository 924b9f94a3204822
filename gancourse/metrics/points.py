"""Samples that can be counted: points of the plane against the modes of a mixture, and shares of classes."""

from __future__ import annotations

import math
from typing import Any

import torch

from gancourse.datasets import toy
from gancourse.errors import UserError
from gancourse.metrics.inputs import Array, finite


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
    x = finite(points, "points", "(N, 2)", ndim=2, width=2)
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
        "reverse_kl": label_kl(hits, torch.ones(count, device="cpu")) if good.any() else math.log(count),
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
