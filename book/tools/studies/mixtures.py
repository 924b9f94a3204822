"""Chapter 4: GANs on the ring and the grid of Gaussians, with published networks, data and judge.

The protocol is that of PacGAN's code (https://github.com/fjxmlzn/PacGAN): 100,000 points, batch 100, 2,500 samples
judged. Its budget is 400,000 steps. The seeds are trained side by side; on the way the samples of each are judged, of
the present generator (as published) and of the averaged one.
"""

from __future__ import annotations

from typing import Any

from gancourse import metrics
from gancourse.datasets import toy
from gancourse.systems.seeds import Seeds
from studies import Study, Variant

SAMPLES = 2_500
MEASURED = ("modes", "high_quality", "reverse_kl")
PROTOCOL = {
    "source": "https://github.com/fjxmlzn/PacGAN",
    "published_steps": 400_000,
    "points": 100_000,
    "batch_size": 100,
    "samples": SAMPLES,
}


def look(seeds: Seeds) -> dict[str, dict[str, list[float]]]:
    """Return the three figures of each seed, of the present and of the averaged generators."""
    mixture, found = toy.get(seeds.config.data), {}
    assert isinstance(mixture, toy.Mixture)
    for word in ("present", "averaged"):
        drawn = seeds.sample(SAMPLES, seed=1, averaged=word == "averaged")
        reports = [metrics.mode_report(points, mixture) for points in drawn]
        found[word] = {name: [round(report[name], 5) for report in reports] for name in MEASURED}
    return found


def table(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the last figures of each recipe, and their course over training."""
    found = {}
    for name, (row,) in rows.items():
        step, last = row["curve"][-1]
        found[name] = {
            "steps": step,
            "seeds": row["seeds"],
            "minutes": row["minutes"],
            **last["present"],
            "averaged": last["averaged"],
            "curve": [{"step": step, **looked["present"]} for step, looked in row["curve"] if step],
        }
    return found


STUDY = Study(
    variants={name: Variant(recipe=name, look=look, looks=40, together=True) for name in ("ring-gan", "grid-gan")},
    steps=40_000,
    seeds=(0, 1, 2, 3, 4),
    samples=SAMPLES,
    head=lambda steps: {"protocol": PROTOCOL},
    table=table,
    indent=None,
)
