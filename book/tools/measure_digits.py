"""Measure the digit recipe, its parts taken away one by one, and the four programs of the notes.

    python book/tools/measure_digits.py --steps 5000 --seeds 0 1 2 --scratch DIR

Every variant is trained for the same number of steps on the full training set. Samples go to DIR, so a stopped
measurement goes on where it was; the report goes to gancourse/results/digits_mlp.json, which chapter 2 reads.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gancourse
from gancourse import images, metrics, runtime, systems, training
from gancourse.datasets.source import Batch
from gancourse.systems import gan

RESULTS = Path(gancourse.__file__).parent / "results" / "digits_mlp.json"
SAMPLES = 10_000


class UnscaledData(gan.GAN):
    """Program A: tanh emits [-1, 1], but the images stay in [0, 1]; what is negative is shown as black."""

    def d_loss(self, batch: Batch) -> torch.Tensor:
        """Return the discriminator's loss on images in [0, 1]."""
        return super().d_loss(Batch((batch.x + 1) / 2))

    def sample(self, n: int, *, seed: int = 0) -> torch.Tensor:
        """Return samples mapped from [0, 1] to the package's [-1, 1]."""
        return super().sample(n, seed=seed).clamp(0, 1) * 2 - 1


def variants(steps: int) -> dict[str, tuple[Any, Any]]:
    """Return name → (class, config)."""
    ours = replace(systems.recipe("digits-mlp").config, steps=steps, sample_every=steps, checkpoint_every=steps)
    ours = replace(ours, log_every=500)
    found: dict[str, tuple[Any, Any]] = {"digits-mlp": (gan.GAN, ours)}
    for name, changes in {
        "without BatchNorm in G": {"g_norm": "none"},
        "without dropout in D": {"d_dropout": 0.0},
        "beta1 0.9 in place of 0.5": {"beta1": 0.9},
        "ReLU in D in place of LeakyReLU": {"d_activation": "relu"},
        "without averaging": {"averaging": 0.0},
        "minimax loss": {"loss": "minimax"},
    }.items():
        found[name] = (gan.GAN, replace(ours, **changes))
    kept = {"steps": steps, "sample_every": steps, "checkpoint_every": steps, "log_every": 500}
    for name, config in gan.NOTES.items():
        found[f"program {name}"] = (UnscaledData if name == "A" else gan.GAN, replace(config, **kept))
    return found


def train(system_class: Any, config: Any, seed: int) -> tuple[np.ndarray, float, dict[str, float]]:
    """Train one variant; return uint8 samples, minutes, and the last row of its log."""
    recipe = replace(systems.recipe("digits-mlp"), config=config, build=system_class, profiles={"gpu": {}})
    run = training.Run(recipe, profile="gpu", seed=seed, quiet=True)
    if run.source.origin != "full":
        raise SystemExit("These figures are made with the full set: run `make data` first.")
    rows = run.train()
    return images.to_uint8(run.system.sample(SAMPLES, seed=1)).cpu().numpy(), run.seconds / 60, rows[-1]


def main(steps: int, seeds: list[int], scratch: Path, only: list[str] | None) -> None:
    """Train what is missing, then write the report."""
    scratch.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name, (system_class, config) in variants(steps).items():
            path = scratch / f"{name.replace(' ', '_')}_{steps}_{seed}.npz"
            if path.exists() or (only and name not in only):
                continue
            samples, minutes, last = train(system_class, config, seed)
            np.savez(path, images=samples, minutes=minutes, d_real=last["d_real"], d_fake=last["d_fake"])
            print(f"{name}, seed {seed}: {minutes:.1f} minutes", flush=True)
    table: dict[str, Any] = {}
    for name in variants(steps):
        reports = []
        for seed in seeds:
            path = scratch / f"{name.replace(' ', '_')}_{steps}_{seed}.npz"
            if path.exists():
                stored = np.load(path)
                report = metrics.digit_report(stored["images"])
                kept = ("digit_fid", "digit_fid_percent", "label_kl", "classes")
                reports.append({"seed": seed, **{key: report[key] for key in kept}})
                common = {k: report[k] for k in ("data", "reference", "judge", "digit_fid_floor", "digit_fid_uniform")}
        if reports:
            table[name] = reports
    record = {
        "command": " ".join(
            ["python book/tools/measure_digits.py --scratch DIR", f"--steps {steps} --seeds", *map(str, seeds)]
        ),
        "steps": steps,
        "samples": SAMPLES,
        "device": runtime.describe_device(runtime.device()),
        "versions": training.versions(),
        **common,
        "variants": table,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    runtime.write_atomic(RESULTS, (json.dumps(record, indent=1) + "\n").encode())
    print(f"written {RESULTS.name}: {len(table)} variants")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="train only these variants (the report holds all that exist)")
    main(**vars(parser.parse_args()))
