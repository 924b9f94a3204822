"""Chapter 5: Fréchet and kernel distance against the number of pictures, the seed, and a resizing."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from gancourse import plots
from gancourse.widgets.core import Slider, Widget, index, shipped

COUNTS = (100, 200, 350, 500, 1000, 2000, 3500, 5000)
SEEDS = 5
RESIZES = ("none", "nearest pixel", "bicubic")
SETS = ("test digits", "training digits", "digits-mlp")


def draw(count: int, seed: int, resize: str) -> Figure:
    """Draw both distances to 5,000 test digits over the number of pictures, all seeds thin and one bold."""
    data, at = shipped("sample_size"), index(COUNTS, count)
    figure, axes = plots.panels(2, columns=1, aspect=0.5)
    titles = {"frechet": "digit-FID", "kid": "kernel distance"}
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        tables = data[key][index(RESIZES, resize)]  # (sets, seeds, counts)
        whole = data[key]
        if key == "frechet":
            ax.set_ylim(0.5, 1.2 * float(whole.max()))
        else:
            room = 0.1 * float(np.ptp(whole))
            ax.set_ylim(float(whole.min()) - room, float(whole.max()) + room)
        rows = {"pictures": list(COUNTS)} | {name: tables[j, seed] for j, name in enumerate(SETS)}
        plots.curves(rows, list(SETS), ax=ax, x="pictures", log_y=key == "frechet", ylabel=title)
        for j, (name, colour) in enumerate(plots.style.colours(SETS).items()):
            ax.plot(COUNTS, tables[j].T, color=colour, linewidth=0.6, alpha=0.45)
            ax.plot(count, rows[name][at], "o", color=colour, markersize=7)
        found = ", ".join(f"{name.split()[0]} {tables[j, seed, at]:,.3g}" for j, name in enumerate(SETS))
        ax.set_title(f"{count:,} pictures: {found}", fontsize=plots.FONT)
    axes[0].set_yticks([1, 10, 100])
    return figure


WIDGETS = {
    "sample-size": Widget(
        "sample-size",
        5,
        "Take fewer pictures, another seed or a resizing: the Fréchet distance rises for few, the kernel one scatters.",
        draw,
        (
            Slider("count", "pictures", COUNTS, 5000, "{:,}"),
            Slider("seed", "seed", tuple(range(SEEDS)), 0),
            Slider("resize", "resized by", RESIZES, "none"),
        ),
    )
}
