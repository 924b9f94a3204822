"""Chapter 10: eight objectives, one network, one budget, on the ring and the grid of Gaussians.

The budget is 10,000 steps of G, and on the grid also the processor seconds that the non-saturating game takes for them,
with rates that fall within them.

Networks, batch, optimiser and averaging are those of ``gancourse.systems.testbed`` for all; what an objective says of
its own (the clipped critic's RMSProp, five critic steps, spectral norms, the weights of penalties) stays. The samples
are judged as in the study of mixtures: 2,500 of each seed, of the present generator and of the averaged one.

Settings were chosen on the grid with seeds 100 and 101, which no row uses, over 5,000 steps: Adam's two decays, the
weight of the gradient penalty (0.1, 1 or 10), the clipped critic's rate and box, the course of R1's and R2's weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gancourse.systems import testbed
from studies import Study, Variant
from studies.mixtures import MEASURED, SAMPLES, look

STEPS, SEEDS = 10_000, (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Objective:
    """One objective of the comparison.

    Attributes:
        system: the word of its recipes on the test bed.
        changes: flat keys that make it, where the recipe is another objective's.
    """

    system: str
    changes: Mapping[str, Any] = field(default_factory=dict)


OBJECTIVES = {
    "non-saturating": Objective("gan"),
    "minimax": Objective("gan", {"loss": "minimax"}),
    "least squares": Objective("lsgan"),
    "Wasserstein, clipped": Objective("wgan"),
    "Wasserstein, penalty": Objective("wgan-gp"),
    "hinge, spectral norm": Objective("sngan"),
    "non-saturating, R1": Objective("r3gan", {"loss": "nonsaturating", "r2_gamma": 0.0}),
    "relativistic, R1 and R2": Objective("r3gan"),
}
IN_EQUAL_SECONDS = {
    "Wasserstein, clipped": 2_800,
    "Wasserstein, penalty": 1_700,
    "hinge, spectral norm": 7_000,
    "non-saturating, R1": 6_800,
    "relativistic, R1 and R2": 5_000,
}
"""Steps that take as many processor seconds as 10,000 of the non-saturating game; the others keep 10,000."""
FORMER = {"gan": "ring-gan", "lsgan": "ring-lsgan"}
"""Recipes of earlier chapters, which have networks and games of their own: here they take the test bed's."""


def on_the_plane(objective: Objective, data: str, **changes: Any) -> Variant:
    """Return an objective on points, all seeds side by side."""
    recipe = FORMER.get(objective.system, f"{data}-{objective.system}")
    own = {**testbed.POINTS_GAME, "networks": testbed.POINTS, "data": data} if objective.system in FORMER else {}
    return Variant(recipe=recipe, changes={**own, **objective.changes, **changes}, look=look, looks=20, together=True)


def table(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the last figures of each variant, a list with one value per seed, and their course over training."""
    found = {}
    for name, (row,) in rows.items():
        step, last = row["curve"][-1]
        found[name] = {
            "steps": step,
            **{key: row[key] for key in ("seeds", "minutes", "processor_seconds")},
            **last["present"],
            "averaged": last["averaged"],
            "curve": [
                {"step": at, **{key: looked["present"][key] for key in MEASURED[:2]}}
                for at, looked in row["curve"]
                if at
            ],
        }
    return {"variants": found}


STUDY = Study(
    variants={
        **{f"{data}: {name}": on_the_plane(one, data) for data in ("ring", "grid") for name, one in OBJECTIVES.items()},
        **{
            f"grid, equal seconds: {name}": replace(on_the_plane(OBJECTIVES[name], "grid"), steps=steps)
            for name, steps in IN_EQUAL_SECONDS.items()
        },
    },
    steps=STEPS,
    seeds=SEEDS,
    samples=SAMPLES,
    table=table,
    full=False,
    clock=True,
    indent=None,
)
