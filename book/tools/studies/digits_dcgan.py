"""Chapter 11: the MLP of digits beside the DCGAN, five minutes each, and the DCGAN without two things that speed it up.

The minutes are those of two idle cores on one day, when ``gancourse bench`` counted 48 steps of ``digits-mlp`` and 31
of ``digits-dcgan`` a second, and on another, when it counted 67 and 35. The DCGAN with its switches and the steps of
the first day is the recipe at the profile cpu: its runs are given by ``--runs``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gancourse import hub
from studies import Study, Variant, figures

SAMPLES = 10_000
KEPT = ("digit_fid", "digit_fid_percent", "label_kl", "classes")


def measure(run: Any) -> dict[str, Any]:
    """Return the figures of a run, which may also be a loaded one."""
    return figures(run.system, KEPT, SAMPLES)


def finished(folder: Path) -> dict[str, Any]:
    """Return the row of a finished run."""
    run = hub.load(folder)
    row = {"recipe": run.record["recipe"], "steps": run.record["config"]["steps"], "seed": run.record["seed"]}
    return {**row, **{key: value for key, value in measure(run).items() if key != "common"}}


STUDY = Study(
    variants={
        "digits-mlp": Variant(recipe="digits-mlp", profile="cpu", steps=14_400, measure=measure),
        "digits-dcgan, without the switches": Variant(
            recipe="digits-dcgan",
            profile="cpu",
            changes={"channels_last": False, "share_fakes": False},
            measure=measure,
        ),
        "digits-mlp, 20,100 steps": Variant(recipe="digits-mlp", profile="cpu", steps=20_100, measure=measure),
        "digits-dcgan, 10,500 steps": Variant(recipe="digits-dcgan", profile="cpu", steps=10_500, measure=measure),
    },
    steps=9_000,
    head=lambda steps: {"steps": steps, "steps_of_digits_mlp": 14_400, "samples": SAMPLES},
    seeds=(0, 1, 2),
    samples=SAMPLES,
    finished=finished,
    clock=True,
)
