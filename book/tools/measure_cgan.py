"""Measure the conditional GANs of chapter 6: where the condition enters, the notes' programs, and the third term.

    python book/tools/measure_cgan.py --steps 5000 --seeds 0 --scratch DIR

Every digit variant is trained for the same number of steps on the full training set and measured on the way, so
that one sees how fast a label is learned; the ring runs read the equilibrium of the three-term loss from the log.
Finished runs lie in DIR, so a stopped measurement goes on where it was. The report is gancourse/results/cgan.json.
--runs takes folders of `gancourse train digits-cgan --profile cpu --seed S`: their spread at the cpu profile.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gancourse
from gancourse import cards, hub, images, metrics, runtime, systems, training
from gancourse.systems import cgan

RESULTS = Path(gancourse.__file__).parent / "results" / "cgan.json"
SAMPLES = 10_000
ON_THE_WAY = 2_000
RING_SEEDS = (0, 1, 2)
RING_STEPS = 4_000
KEPT = ("label_accuracy", "digit_fid", "digit_fid_percent", "label_kl_uniform", "diversity", "classes")

DIGITS: dict[str, dict[str, Any]] = {
    "digits-cgan": {},
    "without wrong pairs": {"wrong_pairs": "none"},
    "D: beside the pixels": {"wrong_pairs": "none", "d_condition": "concat"},
    "G: beside the noise": {"wrong_pairs": "none", "g_condition": "concat"},
    "beside both": {"wrong_pairs": "none", "g_condition": "concat", "d_condition": "concat"},
    "beside both, wrong pairs": {"g_condition": "concat", "d_condition": "concat"},
    "auxiliary classifier": {"wrong_pairs": "none", "d_condition": "auxiliary"},
    "two scores": {"wrong_pairs": "none", "d_condition": "two-scores"},
}
"""Variant → what it changes in digits-cgan."""

RINGS: dict[str, dict[str, Any]] = {
    "no wrong pairs": {"wrong_pairs": "none"},
    "wrong pairs, weight 1/2": {},
    "wrong pairs, weight 1": {"pair_weight": 1.0},
    "resampled labels, weight 1": {"wrong_pairs": "resampled", "pair_weight": 1.0},
}
"""Variant → what it changes in ring-cgan."""


def digit_variants(steps: int) -> dict[str, cgan.CGANConfig]:
    """Return name → config."""
    way = {"steps": steps, "sample_every": max(1, steps // 10), "checkpoint_every": steps, "log_every": 500}
    ours = replace(systems.recipe("digits-cgan").config, **way)
    found = {name: replace(ours, **changes) for name, changes in DIGITS.items()}
    for name, config in cgan.NOTES.items():
        found[name] = replace(config, **way)
    found["program 1, tanh"] = replace(cgan.NOTES["program 1"], output="tanh", **way)
    return found


def digit_run(config: cgan.CGANConfig, seed: int) -> dict[str, Any]:
    """Train one digit variant and return its report, with the label accuracy on the way."""
    recipe = replace(systems.recipe("digits-cgan"), config=config, profiles={"gpu": {}})
    run = training.Run(recipe, profile="gpu", seed=seed, quiet=True)
    if run.source.origin != "full":
        raise SystemExit("These figures are made with the full set: run `make data` first.")
    curve: list[list[float]] = []

    def look(step: int, system: Any) -> None:
        labels = system.sample_labels(ON_THE_WAY, seed=1)
        pictures = images.to_uint8(system.sample(ON_THE_WAY, seed=1)).cpu()
        curve.append([step, metrics.digit_report(pictures, labels)["label_accuracy"]])

    run.train(look)
    labels = run.system.sample_labels(SAMPLES, seed=1)
    report = metrics.digit_report(images.to_uint8(run.system.sample(SAMPLES, seed=1)).cpu(), labels)
    common = {k: report[k] for k in ("data", "reference", "judge", "digit_fid_floor", "digit_fid_uniform")}
    return {"seed": seed, **{k: report[k] for k in KEPT}, "curve": curve, "minutes": run.seconds / 60, "common": common}


def ring_run(changes: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train one ring variant and return the mean of its log over the second half."""
    recipe = systems.recipe("ring-cgan")
    run = training.Run(recipe, profile="cpu", seed=seed, quiet=True, steps=RING_STEPS, **changes)
    rows = run.train()
    late = rows[len(rows) // 2 :]
    means = {k: sum(row[k] for row in late) / len(late) for k in rows[0] if k not in ("step", "seconds")}
    report = cards.evaluate(run.system)
    return {"seed": seed, **means, **{k: report[k] for k in ("modes", "high_quality", "label_accuracy")}}


def finished_run(folder: Path) -> dict[str, Any]:
    """Return the report of a finished run of the recipe, with its seed and profile."""
    record, report = hub.read_record(folder), cards.evaluate(hub.load(folder).system)
    kept = {key: report[key] for key in (*KEPT, "label_accuracy_min", "diversity_min")}
    return {"seed": record["seed"], "profile": record["profile"], "steps": record["config"]["steps"], **kept}


def main(steps: int, seeds: list[int], scratch: Path, only: list[str] | None, runs: list[Path]) -> None:
    """Train what is missing, then write the report; earlier measured runs stay in it unless new ones are given."""
    earlier = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() and not runs else []
    scratch.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[str, str, int, Any]] = [
        ("ring", name, seed, changes) for seed in RING_SEEDS for name, changes in RINGS.items()
    ]
    jobs += [("digits", name, seed, config) for seed in seeds for name, config in digit_variants(steps).items()]
    table: dict[str, dict[str, list[Any]]] = {"ring": {}, "digits": {}}
    common: dict[str, Any] = {}
    for kind, name, seed, settings in jobs:
        length = steps if kind == "digits" else RING_STEPS
        path = scratch / f"{kind}_{name.replace(' ', '_').replace('/', '')}_{length}_{seed}.json"
        if not path.exists() and (not only or name in only):
            found = digit_run(settings, seed) if kind == "digits" else ring_run(settings, seed)
            runtime.write_atomic(path, json.dumps(found).encode())
            print(kind, name, seed, {k: v for k, v in found.items() if k not in ("curve", "common")}, flush=True)
        if path.exists():
            found = json.loads(path.read_text())
            common = found.pop("common", common)
            found.pop("minutes", None)
            table[kind].setdefault(name, []).append(found)
    record = {
        "command": f"python book/tools/measure_cgan.py --scratch DIR --steps {steps} --seeds "
        + " ".join(map(str, seeds))
        + (" --only " + " ".join(f'"{name}"' for name in only) if only else ""),
        "steps": steps,
        "ring_steps": RING_STEPS,
        "samples": SAMPLES,
        "device": runtime.describe_device(runtime.device()),
        "versions": training.versions(),
        **common,
        "variants": table["digits"],
        "ring": table["ring"],
        "runs": [finished_run(folder) for folder in runs] or earlier,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    runtime.write_atomic(RESULTS, (json.dumps(record, indent=1) + "\n").encode())
    print(f"written {RESULTS.name}: {len(table['digits'])} digit variants, {len(table['ring'])} on the ring")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="train only these variants (the report holds all that exist)")
    parser.add_argument("--runs", type=Path, nargs="+", default=[], help="finished runs of digits-cgan to report")
    main(**vars(parser.parse_args()))
