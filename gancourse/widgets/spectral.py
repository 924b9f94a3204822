"""Chapter 10: what a matrix does to the unit circle, and what a few steps of the power iteration know of it."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from gancourse import plots
from gancourse.widgets.core import Slider, Widget, steps

SIGMA = 1.6  # the largest singular value; the other is a share of it
RATIOS = steps(0.1, 0.9, 0.1) + (0.95,)
STARTS = tuple(range(0, 90, 10))
LIMIT = 2.1


def _direction(degrees: float) -> Tensor:
    return torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def _rotation(degrees: float) -> Tensor:
    return torch.stack([_direction(degrees), _direction(degrees + 90)], dim=1)


def estimate(ratio: float, count: int, start: int) -> tuple[Tensor, Tensor, float]:
    """Return W (2, 2), the last v (2,) and σ̂ after `count` rounds from a u `start` degrees off the best."""
    W = _rotation(35) @ torch.diag(torch.tensor([SIGMA, ratio * SIGMA])) @ _rotation(-20).T
    u, v = _direction(35 + start), _direction(0)
    for _ in range(count):
        v = F.normalize(W.T @ u, dim=0)
        u = F.normalize(W @ v, dim=0)
    return W, v, float(torch.dot(u, W @ v))


def draw(ratio: float, count: int, start: int) -> Figure:
    """Draw the ellipse of W with what the iteration found, and beside it the ellipse of W divided by the estimate."""
    W, v, found = estimate(ratio, count, start)
    circle = torch.stack([_direction(k) for k in range(0, 361, 4)], dim=1)  # (2, 91)
    figure, (left, right) = plots.panels(2, columns=2, aspect=1.0)
    for ax, matrix in ((left, W), (right, W / found)):
        ax.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xticks=[], yticks=[])
        ax.plot(*circle, color=plots.MUTED, linewidth=1.2)
        ax.plot(*(matrix @ circle), color=plots.DISCRIMINATOR, linewidth=2)
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "linewidth": 2}
    for tip, colour in ((SIGMA * _direction(35), plots.MUTED), (W @ v, plots.GENERATOR)):
        left.annotate("", (float(tip[0]), float(tip[1])), (0, 0), arrowprops={**arrow, "color": colour})
    left.text(0, -1.95, f"orange: W v, length {found:.2f}\ngrey: σ = {SIGMA:g}", ha="center", va="bottom")
    left.set_title("W and the unit circle", fontsize=plots.FONT)
    right.set_title("W divided by the estimate", fontsize=plots.FONT)
    right.text(0, -1.95, f"largest stretch left: {SIGMA / found:.2f}", ha="center", va="bottom")
    return figure


WIDGETS = {
    "power-iteration": Widget(
        "power-iteration",
        10,
        "Give the iteration more rounds: its arrow turns to the long axis. It never reads too much, so that what was "
        "divided by it may still stretch.",
        draw,
        (
            Slider("count", "rounds", tuple(range(1, 11)), 1),
            Slider("ratio", "σ₂ / σ₁", RATIOS, 0.6, "{:g}"),
            Slider("start", "first u, degrees off", STARTS, 70),
        ),
    )
}
