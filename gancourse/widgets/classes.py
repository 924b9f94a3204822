"""Chapter 6: a digit on demand, and walks between classes, by the reference run digits-cgan."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gancourse import hub, images, plots
from gancourse.errors import UserError
from gancourse.widgets.core import Slider, Widget, shipped

DIGITS = tuple(range(10))
SHARES = tuple(k / 10 for k in range(11))
RUN = "digits-cgan"


@lru_cache
def _system() -> Any:
    return hub.load(RUN, torch.device("cpu")).system


def drawn(start: int, end: int, share: float, seed: int) -> NDArray[np.uint8]:
    """Return 30 digits: ten of `start`, ten on the way to `end` with one noise, and ten at `share` of the way.

    Raises:
        UserError: the reference run is missing and cannot be fetched.
    """
    system = _system()
    eye = torch.eye(10)
    way = torch.linspace(0, 1, 10)[:, None]
    z = _noise(system, 1, seed)
    mixed = ((1 - share) * eye[start] + share * eye[end]).repeat(10, 1)
    rows = [
        system.sample(10, seed=seed, c=[start] * 10),
        system.generate(z.repeat(10, 1), (1 - way) * eye[start] + way * eye[end]),
        system.generate(_noise(system, 10, seed), mixed),
    ]
    return images.to_uint8(torch.cat([row.cpu() for row in rows])).numpy()


def _noise(system: Any, n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, system.config.latent_dim, generator=torch.Generator().manual_seed(seed))


def draw(start: int, end: int, share: float, seed: int) -> Figure:
    """Draw ten digits of one class, the walk to another, and ten digits part of the way."""
    asked: dict[str, Any] = {"start": start, "end": end, "share": share, "seed": seed}
    try:
        digits = drawn(**asked)
    except UserError:
        if asked != WIDGETS["classes"].defaults:
            raise
        digits = shipped("classes")["digits"]
    title = f"{start}; from {start} to {end} with one noise; {share:.0%} of the way"
    return plots.sample_grid(digits, columns=10, title=title)


WIDGETS = {
    "classes": Widget(
        "classes",
        6,
        "Ask for a class, and for a mixture of two: the first row obeys, the second walks with one noise, the third "
        "stops on the way with ten.",
        draw,
        (
            Slider("start", "class", DIGITS, 3),
            Slider("end", "walk to", DIGITS, 8),
            Slider("share", "share of the way", SHARES, 0.5, "{:.0%}"),
            Slider("seed", "seed", tuple(range(10)), 1),
        ),
        ready=_system,
    )
}
