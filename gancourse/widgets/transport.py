"""Chapter 8: two Gaussians, the plan that carries one to the other, the best critic, and the distance over the shift."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gancourse import plots, theory
from gancourse.widgets.core import Slider, Widget, steps

SHIFTS = steps(-6, 6, 0.5)
WIDTHS = (0.5, 1.0, 2.0)
SHARES = torch.arange(0.5, 20) / 20
"""Of the mass: twenty parts, each drawn by its middle."""
DATA = theory.Gaussian(0.0, 1.0)
SEEN = 1e-3
"""Below this share of the mass on the one side, and this density, nothing is left to carry or to judge."""


@lru_cache
def _course(width: float) -> dict[str, list[float]]:
    """Return W₁ and JSD over all shifts, for a generator of one width."""
    grid = theory.line(-20, 20, 1601)
    rows: dict[str, list[float]] = {"shift": list(SHIFTS), "W1": [], "JSD": []}
    for shift in SHIFTS:
        moved = theory.Gaussian(shift, width)
        rows["W1"].append(float(theory.wasserstein1(DATA, moved, grid)))
        rows["JSD"].append(float(theory.js(DATA, moved, grid)))
    return rows


def _all_courses() -> None:
    """Compute the courses of all widths, so that no move of a slider waits for them."""
    for width in WIDTHS:
        _course(width)


def best_critic(shift: float, width: float, x: Tensor) -> Tensor:
    """Return f* with the slopes ±1 on an even grid x, (n,): 0 in the middle of the grid, NaN where no mass must pass.

    Its slope is the sign of F_g - F_data: it rises where mass has to be carried to the right.
    """
    difference = theory.Gaussian(shift, width).cdf(x) - DATA.cdf(x)
    slope = difference.sign() * (difference.abs() > SEEN)
    f = torch.cumsum(slope, dim=0) * float(x[1] - x[0])
    return torch.where(slope == 0, torch.nan, f - f[len(f) // 2])


def draw(shift: float, width: float) -> Figure:
    """Draw both densities with twenty parts of the plan, f* beside D*, and W₁ beside the JSD over the shift."""
    grid = theory.line(-9, 9, 361)
    generated = theory.Gaussian(shift, width)
    p, q = DATA.density(grid.x), generated.density(grid.x)
    figure, (top, middle, bottom) = plots.panels(3, columns=1, aspect=0.36)
    quantiles = torch.special.ndtri(SHARES.double())
    for begin, end in zip((shift + width * quantiles).tolist(), quantiles.tolist(), strict=True):
        top.plot([begin, end], [0, 1], color=plots.MUTED, linewidth=1, alpha=0.8)
    for density, colour, name, side in ((p, plots.DATA, "data", 1), (q, plots.GENERATOR, "generated", 0)):
        edge = 1 + density if side else -density
        top.fill_between(grid.x, side, edge, color=colour, alpha=0.35, linewidth=0)
        top.plot(grid.x, edge, color=colour)
        top.text(-8.8, side + (0.16 if side else -0.16), name, color=colour, va="center")
    top.set(xlim=(-9, 9), ylim=(-0.9, 1.5), yticks=[])
    D = theory.optimal_discriminator(p, q).nan_to_num(0.5)
    lost = torch.maximum(p, q) < SEEN**2
    middle.plot(grid.x, torch.where(lost, torch.nan, D), color=plots.OTHERS[1], linestyle="--")
    middle.plot(grid.x, best_critic(shift, width, grid.x), color=plots.DISCRIMINATOR)
    middle.text(-8.8, 5.4, "best critic, slope ±1", color=plots.DISCRIMINATOR)
    middle.text(8.8, 5.4, "D*, from 0 to 1", color=plots.OTHERS[1], ha="right")
    middle.set(xlim=(-9, 9), ylim=(-7, 7))
    rows = _course(width)
    here = SHIFTS.index(shift)
    looks: tuple[Any, ...] = ({"W1": "W₁", "JSD": "JSD"}, {"log 2": theory.LOG_2})
    bottom.set_ylim(-0.3, 6.6)
    plots.curves(rows, looks[0], ax=bottom, x="shift", references=looks[1])
    for name in ("W1", "JSD"):
        bottom.plot(shift, rows[name][here], "o", color=plots.INK, markersize=7, zorder=5)
    bottom.set_xlim(-6.2, 6.2)
    top.set_title(f"W₁ = {rows['W1'][here]:.2f}, JSD = {rows['JSD'][here]:.3f}", fontsize=plots.FONT)
    return figure


WIDGETS = {
    "transport": Widget(
        "transport",
        8,
        "Move the generated density: W₁ is the mean length of the lines, and the critic's slope stays 1 where D* is flat.",
        draw,
        (
            Slider("shift", "shift", SHIFTS, 4.0, "{:g}"),
            Slider("width", "width of generated", WIDTHS, 1.0, "{:g}"),
        ),
        ready=_all_courses,
    )
}
