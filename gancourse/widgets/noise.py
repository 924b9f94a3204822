"""Chapter 2: digits from fixed noise in the course of training, from the run that the chapter shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gancourse import plots
from gancourse.widgets.core import Slider, Widget, index, shipped

STEPS: tuple[int, ...] = tuple(shipped("fixed_noise")["steps"].tolist())
SHOWN = 49


def draw(step: int, z: int) -> Figure:
    """Draw the digits of one step above, one of them framed, and below this one at all steps."""
    data = shipped("fixed_noise")
    levels = int(data["levels"])
    frames = (data["digits"].astype(np.uint16) * 255 // (levels - 1)).astype(np.uint8)  # (steps, 49, 28, 28)
    now = frames[index(STEPS, step)]
    line = 0.35  # inches of a line of words
    strip = plots.WIDTH * 0.9 / len(STEPS)
    size = plots.WIDTH * 0.9, plots.WIDTH * 0.72 + strip + 2 * line + 0.1
    figure = plots.Picture(figsize=size, dpi=plots.DPI)
    square = plots.WIDTH * 0.72
    left, low = (size[0] - square) / 2 / size[0], 1 - (line + square) / size[1]
    top = figure.add_axes((left, low, square / size[0], square / size[1]))
    bottom = figure.add_axes((0.005, 0.03 / size[1], 0.99, strip / size[1]))
    for ax, images, columns in ((top, now, 7), (bottom, frames[:, z - 1], len(STEPS))):
        page = plots.sheet(images[..., None], columns=columns)
        ax.imshow(page[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_axis_off()
    row, column = divmod(z - 1, 7)
    box: dict[str, Any] = {"fill": False, "edgecolor": plots.GENERATOR, "linewidth": 2.2, "clip_on": False}
    top.add_patch(Rectangle((29 * column - 1, 29 * row - 1), 29, 29, **box))
    bottom.add_patch(Rectangle((29 * index(STEPS, step) - 1, -1), 29, 29, **box))
    top.set_title(f"step {step:,}", fontsize=plots.FONT)
    bottom.set_title(f"noise {z} at steps {STEPS[0]:,} to {STEPS[-1]:,}", fontsize=plots.FONT)
    return figure


WIDGETS = {
    "fixed-noise": Widget(
        "fixed-noise",
        2,
        "Move through training with the noise held fixed: shapes come early, and a noise may change its digit.",
        draw,
        (
            Slider("step", "step", STEPS, STEPS[-1], "{:,}"),
            Slider("z", "noise", tuple(range(1, SHOWN + 1)), 1),
        ),
    )
}
