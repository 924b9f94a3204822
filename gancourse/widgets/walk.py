"""Chapter 11: a walk from one noise vector to another, straight or along the sphere, by a trained generator."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from gancourse import hub, images, plots
from gancourse.errors import UserError
from gancourse.widgets.core import Slider, Widget, shipped

RUNS = ("faces32-dcgan", "digits-mlp")
"""The walk is drawn by the first of these whose reference run is published."""
SHARES = tuple(k / 10 for k in range(11))
ENDS = tuple(range(1, 11))
WAYS = ("straight", "along the sphere")
SHOWN = 9  # pictures of the strip


def between(a: Tensor, b: Tensor, shares: Tensor, way: str) -> Tensor:
    """Return the points at these shares of the way from a to b, (len(shares), latent_dim).

    Straight is (1 - t) a + t b. Along the sphere the angle between a and b, Ω, is walked at constant speed:
    sin((1 - t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b (Shoemake 1985, https://doi.org/10.1145/325334.325242).
    """
    t = shares[:, None]
    if way == "straight":
        return (1 - t) * a + t * b
    angle = torch.acos(torch.dot(a, b) / (a.norm() * b.norm()))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def name() -> str:
    """Return the name of the reference run that draws."""
    published = hub.registry()
    return next(run for run in RUNS if run in published)


@lru_cache
def _system() -> Any:
    return hub.load(name(), torch.device("cpu")).system


def drawn(start: int, end: int, share: float, way: str) -> tuple[NDArray[np.uint8], float]:
    """Return the pictures of the strip and, last, the one at `share`, and the length of its noise over √latent_dim.

    Raises:
        UserError: the reference run is missing and cannot be fetched.
    """
    system = _system()
    a, b = (
        torch.randn(system.config.latent_dim, generator=torch.Generator().manual_seed(k)) for k in (start, 100 + end)
    )
    points = between(a, b, torch.tensor([*torch.linspace(0, 1, SHOWN), share]), way)
    return images.to_uint8(system.generate(points).cpu()).numpy(), float(points[-1].norm() / len(a) ** 0.5)


def draw(start: int, end: int, share: float, way: str) -> Figure:
    """Draw the whole walk as a strip, and the picture at one place of it above."""
    asked: dict[str, Any] = {"start": start, "end": end, "share": share, "way": way}
    try:
        pictures, length = drawn(**asked)
    except UserError:
        if asked != WIDGETS["latent-walk"].defaults:
            raise
        kept = shipped("walk")
        pictures, length = kept["pictures"], float(kept["length"])
    strip = plots.WIDTH / SHOWN
    line, square = 0.35, 2.1
    size = plots.WIDTH, square + strip + line + 0.25
    figure = plots.Picture(figsize=size, dpi=plots.DPI)
    for page, box in (
        (pictures[-1], ((size[0] - square) / 2 / size[0], 1 - (line + square) / size[1], square / size[0], square)),
        (plots.sheet(pictures[:-1], columns=SHOWN), (0.0, 0.06 / size[1], 1.0, strip)),
    ):
        ax = figure.add_axes((*box[:3], box[3] / size[1]))
        ax.imshow(np.broadcast_to(page, (*page.shape[:2], 3)), interpolation="nearest", aspect="auto")
        ax.set_axis_off()
    width = pictures.shape[2]
    figure.axes[1].add_patch(
        Rectangle((share * (SHOWN - 1) * (width + 1) - 1, -0.6), width + 1, width + 0.4, fill=False, clip_on=False)
    )
    figure.axes[1].patches[0].set(edgecolor=plots.GENERATOR, linewidth=2.2)
    words = f"{share:.0%} of the way, {way}: the noise is {length:.2f} √d long"
    figure.text(0.5, 1 - line / 2 / size[1], words, ha="center", va="center", fontsize=plots.FONT)
    return figure


WIDGETS = {
    "latent-walk": Widget(
        "latent-walk",
        11,
        "Walk from one noise vector to another: no step is abrupt, and on the straight way the middle is shorter than "
        "any noise that the generator was trained on.",
        draw,
        (
            Slider("share", "share of the way", SHARES, 0.5, "{:.0%}"),
            Slider("way", "way", WAYS, "along the sphere"),
            Slider("start", "from noise", ENDS, 1),
            Slider("end", "to noise", ENDS, 2),
        ),
        ready=_system,
    )
}
