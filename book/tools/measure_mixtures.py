"""Measure GANs on the ring and the grid of Gaussians: published networks, data and judge, several seeds at once.

    python book/tools/measure_mixtures.py --steps 40000 --seeds 0 1 2 3 4 --scratch DIR

The protocol is that of PacGAN's code (https://github.com/fjxmlzn/PacGAN): 100,000 points, batch 100, 2,500 samples
judged. Its budget is 400,000 steps. The seeds are a batch dimension of one network (gancourse.systems.seeds).
Every 1,000 steps the samples of each seed are judged, of the present generator (as published) and of the averaged
one, and the state goes to DIR, so a stopped measurement goes on where it was. The table goes to
gancourse/results/mixtures.json, which chapter 4 reads. `--only ring-gan` trains one recipe; the table holds every
recipe of which DIR has a state.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import gancourse
from gancourse import metrics, runtime, systems, training
from gancourse.datasets import toy
from gancourse.systems.seeds import Seeds

RESULTS = Path(gancourse.__file__).parent / "results" / "mixtures.json"
RECIPES = ("ring-gan", "grid-gan")
SAMPLES = 2_500
EVERY = 1_000
MEASURED = ("modes", "high_quality", "reverse_kl")
PUBLISHED_STEPS = 400_000


def judge(seeds: Seeds, averaged: bool) -> dict[str, list[float]]:
    """Return the three figures of each seed."""
    mixture = toy.get(seeds.config.data)
    reports = [metrics.mode_report(points, mixture) for points in seeds.sample(SAMPLES, seed=1, averaged=averaged)]
    return {name: [round(report[name], 5) for report in reports] for name in MEASURED}


def measure(name: str, steps: int, numbers: list[int], scratch: Path) -> None:
    """Train one recipe up to `steps`, from where it was left."""
    path = scratch / f"{name}_{'-'.join(map(str, numbers))}.pt"
    seeds = Seeds(systems.recipe(name), numbers, profile="gpu", steps=steps)
    step, seconds, curve = 0, 0.0, []
    if path.exists():
        state = torch.load(path, map_location=seeds.device, weights_only=True)
        seeds.load_state_dict(state["seeds"])
        step, seconds, curve = state["step"], state["seconds"], state["curve"]
    started = time.perf_counter() - seconds
    while step < steps:
        training.training_step(seeds, seeds.batches, step, seeds.parameters)
        step += 1
        if step % EVERY == 0 or step == steps:
            seconds = time.perf_counter() - started
            present, averaged = judge(seeds, averaged=False), judge(seeds, averaged=True)
            curve.append({"step": step, "present": present, "averaged": averaged})
            state = {"seeds": seeds.state_dict(), "step": step, "seconds": seconds, "curve": curve}
            temporary = path.with_suffix(".tmp")
            torch.save(state, temporary)
            temporary.replace(path)
            print(f"{name} {step:,} steps, {seconds / 60:.0f} min: {present}", flush=True)


def write_table(numbers: list[int], scratch: Path) -> None:
    """Write what DIR holds: the last figures of each recipe, and their course over training."""
    table: dict[str, Any] = {}
    for name in RECIPES:
        path = scratch / f"{name}_{'-'.join(map(str, numbers))}.pt"
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            last = state["curve"][-1]
            table[name] = {
                "steps": last["step"],
                "seeds": numbers,
                "minutes": round(state["seconds"] / 60, 1),
                **last["present"],
                "averaged": last["averaged"],
                "curve": [{"step": row["step"], **row["present"]} for row in state["curve"]],
            }
    reached = max((row["steps"] for row in table.values()), default=0)
    record = {
        "command": "python book/tools/measure_mixtures.py --scratch DIR "
        f"--steps {reached} --seeds {' '.join(map(str, numbers))}",
        "protocol": {
            "source": "https://github.com/fjxmlzn/PacGAN",
            "published_steps": PUBLISHED_STEPS,
            "points": 100_000,
            "batch_size": 100,
            "samples": SAMPLES,
        },
        "device": runtime.describe_device(runtime.device()),
        "versions": training.versions(),
        **table,
    }
    runtime.write_atomic(RESULTS, (json.dumps(record) + "\n").encode())
    print(f"written {RESULTS.name}: {', '.join(table)}")


def main(steps: int, seeds: list[int], scratch: Path, only: list[str] | None, table: bool) -> None:
    """Train what is missing, then write the table."""
    scratch.mkdir(parents=True, exist_ok=True)
    for name in [] if table else only or RECIPES:
        measure(name, steps, seeds, scratch)
    write_table(seeds, scratch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=RECIPES, help="train only these recipes")
    parser.add_argument("--table", action="store_true", help="train nothing, write the table of what DIR holds")
    main(**vars(parser.parse_args()))
