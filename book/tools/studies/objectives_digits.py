"""Chapter 10: eight objectives on MNIST: one G, one D without BatchNorm and dropout, 5,000 steps.

An objective has here the optimiser of its recipe on digits. Settings were chosen on seed 100 against the training
images' statistics; the table measures against the test images'.
"""

from __future__ import annotations

from typing import Any

from gancourse.systems import testbed
from studies import Study, Variant, figures
from studies.objectives import OBJECTIVES, Objective

SAMPLES = 10_000
KEPT = ("digit_fid", "digit_fid_percent", "label_kl", "classes")
FORMER = {"gan": "digits-mlp", "lsgan": "digits-lsgan"}


def on_digits(objective: Objective) -> Variant:
    """Return an objective on digits, seed by seed."""
    own = {**testbed.PICTURES_GAME, "networks": testbed.PICTURES} if objective.system in FORMER else {}
    return Variant(
        recipe=FORMER.get(objective.system, f"digits-{objective.system}"),
        changes={**own, **objective.changes},
        measure=lambda run: figures(run.system, KEPT, SAMPLES),
    )


def table(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return each seed's figures."""
    return {"variants": rows}


STUDY = Study(
    variants={name: on_digits(one) for name, one in OBJECTIVES.items()},
    steps=5_000,
    seeds=(0, 1, 2),
    samples=SAMPLES,
    table=table,
    clock=True,
)
