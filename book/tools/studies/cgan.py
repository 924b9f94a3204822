"""Chapter 6: where the condition enters, the notes' programs, and the third term.

The digit variants are measured on the way, so that one sees how fast a label is learned; the ring variants read the
equilibrium of the three-term loss from the log. ``--runs`` takes folders of `gancourse train digits-cgan --profile cpu
--seed S`: their spread at the cpu profile.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gancourse import evaluation, hub
from gancourse.errors import UserError
from gancourse.systems.notes import NOTES
from gancourse.training import Run
from studies import Study, Variant, figures

SAMPLES, ON_THE_WAY = 10_000, 2_000
RING_STEPS = 4_000
KEPT = ("label_accuracy", "digit_fid", "digit_fid_percent", "label_kl_uniform", "diversity", "classes")
PROGRAMS = NOTES["digits-cgan"]

DIGITS: dict[str, dict[str, Any]] = {
    "digits-cgan": {},
    "without wrong pairs": {"wrong_pairs": "none"},
    "D: beside the pixels": {"wrong_pairs": "none", "d_condition": "concat"},
    "G: beside the noise": {"wrong_pairs": "none", "g_condition": "concat"},
    "beside both": {"wrong_pairs": "none", "g_condition": "concat", "d_condition": "concat"},
    "beside both, wrong pairs": {"g_condition": "concat", "d_condition": "concat"},
    "auxiliary classifier": {"wrong_pairs": "none", "d_condition": "auxiliary"},
    "two scores": {"wrong_pairs": "none", "d_condition": "two-scores"},
    **PROGRAMS,
    "program 1, tanh": {**PROGRAMS["program 1"], "output": "tanh"},
}
RINGS: dict[str, dict[str, Any]] = {
    "no wrong pairs": {"wrong_pairs": "none"},
    "wrong pairs, weight 1/2": {},
    "wrong pairs, weight 1": {"pair_weight": 1.0},
    "resampled labels, weight 1": {"wrong_pairs": "resampled", "pair_weight": 1.0},
}


def obeyed(system: Any) -> float:
    """Return how often the judge sees what was asked for."""
    return evaluation.evaluate(system, n=ON_THE_WAY)["label_accuracy"]


def equilibrium(run: Run) -> dict[str, Any]:
    """Return the mean of a ring run's log over the second half, and what became of its points."""
    late = run.rows[len(run.rows) // 2 :]
    means = {key: sum(row[key] for row in late) / len(late) for key in late[0] if key not in ("step", "seconds")}
    report = evaluation.evaluate(run.system)
    return {**means, **{key: report[key] for key in ("modes", "high_quality", "label_accuracy")}}


def finished(folder: Path) -> dict[str, Any]:
    """Return the report of a finished run of the recipe, with its seed and profile."""
    record = hub.read_record(folder)
    if record["recipe"] != "digits-cgan":
        raise UserError(f"{folder} is a run of {record['recipe']!r}; this study reports runs of 'digits-cgan'.")
    report = evaluation.evaluate(hub.load(folder).system)
    kept = {key: report[key] for key in (*KEPT, "label_accuracy_min", "diversity_min")}
    return {"seed": record["seed"], "profile": record["profile"], "steps": record["config"]["steps"], **kept}


digits = partial(
    Variant, recipe="digits-cgan", measure=lambda run: figures(run.system, KEPT, SAMPLES), look=obeyed, looks=10
)
ring = partial(Variant, recipe="ring-cgan", profile="cpu", measure=equilibrium, steps=RING_STEPS, seeds=(0, 1, 2))

STUDY = Study(
    variants={
        **{name: ring(changes=changes) for name, changes in RINGS.items()},
        **{name: digits(changes=changes) for name, changes in DIGITS.items()},
    },
    steps=5_000,
    seeds=(0,),
    samples=SAMPLES,
    head=lambda steps: {"steps": steps, "ring_steps": RING_STEPS, "samples": SAMPLES},
    table=lambda rows: {
        "variants": {name: rows[name] for name in DIGITS if name in rows},
        "ring": {name: rows[name] for name in RINGS if name in rows},
    },
    finished=finished,
)
