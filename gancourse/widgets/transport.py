"""Chapter 8: the plan between two Gaussians with the best critic and both distances; and the cone of a slope."""

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


PLACES = steps(-3.6, 3.6, 0.4)
SLOPES = (0.5, 0.75, 1.0, 1.5)


def wave(x: Tensor) -> Tensor:
    """Return a wavy function whose steepest slope is 1, at 0, for x of any shape."""
    return 0.7 * torch.sin(x) + 0.15 * torch.sin(2 * x)


@lru_cache
def _angles() -> tuple[Tensor, Tensor, Tensor]:
    """Return the points of a ring with a slit, x and y, and their angles, each (8, 121)."""
    r, phi = torch.meshgrid(torch.linspace(1, 2, 8), torch.linspace(-3.1, 3.1, 121), indexing="ij")
    return r * phi.cos(), r * phi.sin(), phi


def draw_cone(place: float, slope: float) -> Figure:
    """Draw the double cone of a slope on a curve of slope 1, and a domain where small gradients allow a jump."""
    x = torch.linspace(-4, 4, 401)
    curve, height = wave(x), float(wave(torch.tensor(place)))
    reach = slope * (x - place).abs()
    figure, (left, right) = plots.panels(2, columns=2, aspect=0.95)
    left.fill_between(x, height + reach, 6, color=plots.MUTED, alpha=0.2, linewidth=0)
    left.fill_between(x, -6, height - reach, color=plots.MUTED, alpha=0.2, linewidth=0)
    left.plot(x, curve, color=plots.DISCRIMINATOR)
    inside = (curve - height).abs() > reach + 1e-4
    left.plot(x, torch.where(inside, curve, torch.nan), color=plots.GENERATOR, linewidth=3)
    left.plot(place, height, "o", color=plots.INK, zorder=4)
    words = "is entered" if bool(inside.any()) else "stays free"
    left.set(xlim=(-4, 4), ylim=(-3, 3))
    left.set_title(f"K = {slope:g}: the cone {words}", fontsize=plots.FONT)
    across, up, phi = _angles()
    filled = right.pcolormesh(across, up, phi, cmap="viridis", shading="gouraud")
    right.set(aspect="equal", xticks=[], yticks=[])
    right.set_title("The angle on a slit ring", fontsize=plots.FONT)
    figure.colorbar(filled, ax=right, ticks=[-3, 0, 3], shrink=0.75)
    return figure


WIDGETS = {
    "cone": Widget(
        "cone",
        8,
        "Move the point along a curve of slope at most 1, and look for a K whose cone it never enters.",
        draw_cone,
        (
            Slider("place", "place of the point", PLACES, -1.2, "{:g}"),
            Slider("slope", "K, slope of the cone", SLOPES, 1.0, "{:g}"),
        ),
    ),
    "transport": Widget(
        "transport",
        8,
        "Move the generated density: W₁ is the mean way across, and the critic's slope stays 1 where D* is flat.",
        draw,
        (
            Slider("shift", "shift", SHIFTS, 4.0, "{:g}"),
            Slider("width", "width of generated", WIDTHS, 1.0, "{:g}"),
        ),
        ready=_all_courses,
    ),
}
