"""Chapter 10: the best objective of the comparison with the published networks, batch and optimiser, on the grid.

Networks, batch, rates and optimiser are those of ``grid-gan``, whose rows the study of mixtures holds at the same
40,000 steps: only the objective differs, the non-saturating game with R1, whose weight falls as in ``objectives``.
"""

from __future__ import annotations

from gancourse import systems
from gancourse.systems.configs import flat
from studies import Study, Variant
from studies.mixtures import SAMPLES, look
from studies.objectives import OBJECTIVES, table

NAME = "non-saturating, R1"
PUBLISHED = systems.recipe("grid-gan").config
GAME = ("batch_size", "g_lr", "d_lr", "beta1", "beta2", "averaging", "lr_decay_from")

STUDY = Study(
    variants={
        f"grid, published networks: {NAME}": Variant(
            recipe="grid-r3gan",
            changes={
                **{key: flat(PUBLISHED)[key] for key in GAME},
                "networks": PUBLISHED.networks,
                **OBJECTIVES[NAME].changes,
            },
            look=look,
            looks=40,
            together=True,
        )
    },
    steps=40_000,
    seeds=(0, 1, 2, 3, 4),
    samples=SAMPLES,
    table=table,
    full=False,
    clock=True,
    indent=None,
)
