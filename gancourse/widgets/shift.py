"""Chapter 3: two Gaussians, one of them shifted, with D*, C(G) and the Jensen-Shannon divergence."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from matplotlib.figure import Figure

from gancourse import plots, theory
from gancourse.widgets.core import Slider, Widget, steps

SHIFTS = steps(-8, 8, 0.25)
WIDTHS = steps(0.5, 2.0, 0.25)


@lru_cache
def _course(width: float) -> dict[str, list[float]]:
    """Return C(G) and JSD over all shifts, for a generator of one width."""
    grid = theory.line(-16, 16, 1601)
    data, rows = theory.Gaussian(0.0, 1.0), {"shift": list(SHIFTS), "C": [], "JSD": []}
    for shift in SHIFTS:
        moved = theory.Gaussian(shift, width)
        rows["C"].append(float(theory.criterion(data, moved, grid)))
        rows["JSD"].append(float(theory.js(data, moved, grid)))
    return rows


def _all_courses() -> None:
    """Compute the courses of all widths, so that no move of a slider waits for them."""
    for width in WIDTHS:
        _course(width)


def draw(shift: float, width: float) -> Figure:
    """Draw the two densities with D* above, and C(G) over the shift below, at this shift."""
    grid = theory.line(-8, 8, 401)
    pair: dict[str, Any] = {
        "data": theory.Gaussian(0.0, 1.0).density(grid.x),
        "generated": theory.Gaussian(shift, width).density(grid.x),
    }
    rows = _course(width)
    here = SHIFTS.index(shift)
    C, jsd = rows["C"][here], rows["JSD"][here]
    figure, (top, bottom) = plots.panels(2, columns=1, aspect=0.46)
    best = theory.optimal_discriminator(pair["data"], pair["generated"])
    plots.density_1d(grid.x, pair, best, ax=top)
    top.set_ylim(0, 0.85)
    levels = {"0": 0.0, "-log 4": -math.log(4)}
    bottom.set_ylim(-1.5, 0.12)
    plots.curves(rows, {"C": "C(G)"}, ax=bottom, x="shift", references=levels)
    bottom.plot(shift, C, "o", color=plots.GENERATOR, markersize=9, zorder=5)
    bottom.set_xlim(-8.1, 8.1)
    bottom.set_title(f"C(G) = {C:z.3f} = -log 4 + 2 · {jsd:.3f}", fontsize=plots.FONT)
    return figure


WIDGETS = {
    "shift": Widget(
        "shift",
        3,
        "Move the generated density: where the two are apart D* is flat at 0 and 1, and C(G) is flat too.",
        draw,
        (
            Slider("shift", "shift", SHIFTS, 2.0, "{:g}"),
            Slider("width", "width of generated", WIDTHS, 1.0, "{:g}"),
        ),
        ready=_all_courses,
    )
}
