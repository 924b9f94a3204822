"""What the generator learns from: arrows of the discriminator's slope, and noise bent by the generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gancourse.plots.plane import Judge, Limits

__all__ = ["arrows", "push_forward"]


def arrows(
    discriminator: Judge,
    fakes: Any,
    weight: str | None = None,
    ax: Axes | None = None,
    data: Any = None,
    limits: Limits | None = None,
    background: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw the hint ∇ₓ a(x) on generated points: where each should move to look more like data to D.

    Args:
        discriminator: maps (n, d) float points to (n,) or (n, 1) logits a(x); differentiable.
        fakes: (n, 2) points in the plane or (n, 1) points on a line.
        weight: None for ∇a itself, "D" for D ∇a (the saturating loss) or "1-D" for (1 − D) ∇a (non-saturating).
        data: points of the data, drawn in blue.
        background: also draw D: the landscape in the plane, the curve D(x) on a line.
    """
    raise NotImplementedError


def push_forward(
    generator: Callable[[Tensor], Tensor],
    limits: Limits = 2.0,
    lines: int = 13,
    data: Any = None,
    title: str | None = None,
    seed: int = 0,
    latent_dim: int = 2,
) -> Figure:
    """Draw how G bends noise: a regular grid of z on the left, its image G(z) on the right.

    With ``latent_dim=1`` equally spaced z and their images on two axes, and the densities that arise.
    """
    raise NotImplementedError
