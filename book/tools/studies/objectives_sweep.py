"""Chapter 10: five objectives on the grid under two learning rates, one and five steps of D, and two sizes of D.

What ``objectives`` measures at one setting, here at eight: an order of objectives that turns with the learning rate is
no order of objectives. Spectral norms are trained five seeds at a time (three have no faster form), the others three.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from studies import Study
from studies.mixtures import SAMPLES
from studies.objectives import OBJECTIVES, on_the_plane, table

SWEPT = ("non-saturating", "least squares", "Wasserstein, penalty", "hinge, spectral norm", "relativistic, R1 and R2")
RATES, TURNS, WIDTHS = (1e-3, 3e-4), (1, 5), (64, 128)

STUDY = Study(
    variants={
        f"{name}: rate {rate:g}, k {k}, D {width}": replace(
            on_the_plane(OBJECTIVES[name], "grid", g_lr=rate, d_lr=rate, k=k, d_widths=(width,) * 3),
            looks=1,
            seeds=(0, 1, 2, 3, 4) if OBJECTIVES[name].system == "sngan" else None,
        )
        for k, rate, width, name in product(TURNS, RATES, WIDTHS, SWEPT)
    },
    steps=5_000,
    seeds=(0, 1, 2),
    samples=SAMPLES,
    table=table,
    full=False,
    clock=True,
    indent=None,
)
