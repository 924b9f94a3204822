"""What a run is worth: its evaluation with fixed keys, and the card that tells it to people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancourse import metrics, systems
from gancourse.datasets import toy
from gancourse.errors import UserError

SAMPLES = {"images": 10_000, "points": 2_500}
"""How many samples an evaluation draws: 10,000 images, or 2,500 points (protocol of PacGAN's code)."""


REPORTS = {"digits": metrics.digit_report, "fashion": metrics.fashion_report}
"""Image data → how its samples are measured."""


def evaluate(system: Any, *, seed: int = 1, n: int | None = None) -> dict[str, Any]:
    """Draw samples from a system's averaged generator and measure them.

    Points are measured by :func:`.mode_report`, digits by
    :func:`.digit_report`, clothes by :func:`.fashion_report`; the keys are theirs,
    plus ``samples`` and ``sample_seed``. A conditional system is asked for classes drawn uniformly, and the report says
    how often it obeyed (``label_accuracy``: for points, the share whose nearest mode is the one that was asked for).
    """
    from gancourse import images

    data = system.config.data
    n = n or SAMPLES["points" if data in toy.DISTRIBUTIONS else "images"]
    labels = system.sample_labels(n, seed=seed) if is_conditional(system) else None
    if data in toy.DISTRIBUTIONS:
        distribution = toy.get(data)
        points = system.sample(n, seed=seed).cpu()
        report = metrics.mode_report(points, distribution) if isinstance(distribution, toy.Mixture) else {}
        if labels is not None and isinstance(distribution, toy.Mixture):
            nearest = torch.cdist(points, distribution.centres).argmin(dim=1)
            report["label_accuracy"] = float((nearest == labels).double().mean())
    elif data not in REPORTS:
        raise UserError(f"The package has no judge for {data!r} yet; another one would give meaningless numbers.")
    else:
        report = REPORTS[data](images.to_uint8(system.sample(n, seed=seed)).cpu(), labels)
    return {"samples": n, "sample_seed": seed, **report}


def is_conditional(system: Any) -> bool:
    """Whether a system is asked for classes, that is, has ``sample_labels``."""
    return hasattr(system, "sample_labels")


def summarise(reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return one line of text per numeric key: the value, or mean ± standard deviation over several seeds."""
    lines: dict[str, str] = {}
    for key, first in reports[0].items():
        if isinstance(first, bool) or not isinstance(first, (int, float)) or key in ("n", "samples", "sample_seed"):
            continue
        values = [float(report[key]) for report in reports]
        mean = sum(values) / len(values)
        if len(set(values)) == 1:
            lines[key] = _digits(mean)
        else:
            spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
            lines[key] = f"{_digits(mean)} ± {spread:.2g} ({', '.join(map(_digits, values))})"
    return lines


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def card(record: Mapping[str, Any], reports: Sequence[Mapping[str, Any]], seeds: Sequence[int], seconds: float) -> str:
    """Return the Markdown card of a run: what, data, minutes, device, metrics with their spread over seeds.

    Args:
        record: the contents of the run's ``config.json``.
        reports: one evaluation per seed, the shipped seed's first.
        seeds: the training seeds, in the same order.
        seconds: training time of the shipped seed.
    """
    recipe = systems.recipe(record["recipe"])
    data = record["data"]
    origin = {"full": "full set", "mini": "the package's mini set", "formula": "drawn from its formula"}
    config = record["config"]
    lines = [
        f"# {recipe.name}: {recipe.title}",
        "",
        f"- **Data**: {data['name']}, {origin.get(data['origin'], data['origin'])}, {data['samples']:,} samples",
        f"- **Training**: profile {record['profile']}, {config['steps']:,} steps of batch {config['batch_size']}, "
        f"seed {record['seed']}, {seconds / 60:.1f} minutes",
        f"- **Device**: {record['device']}, torch {record['versions']['torch']}",
        f"- **Expected band**: {recipe.band.get(record['profile'], 'none stated for this profile')}",
        f"- **Seeds measured**: {', '.join(map(str, seeds))}",
        "",
        f"Measured on {reports[0]['samples']:,} samples per seed"
        + (", mean ± standard deviation over the seeds:" if len(seeds) > 1 else ":"),
        "",
        "| measure | value |",
        "|---|---|",
        *(f"| {key} | {text} |" for key, text in summarise(reports).items()),
        "",
        "Hyper-parameters:",
        "",
        "```json",
        json.dumps(config, indent=1),
        "```",
        "",
    ]
    return "\n".join(lines)


def seconds_of(folder: Path) -> float:
    """Return the training seconds that the last row of a run's ``metrics.csv`` holds."""
    rows = (folder / "metrics.csv").read_text(encoding="utf-8").splitlines()
    return float(rows[-1].split(",")[1]) if len(rows) > 1 else 0.0


def results_table(results: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return rows of a digit measurement as a Markdown table: means over the seeds, and the floor below.

    Args:
        results: a table of measurements, see :func:`gancourse.hub.results`.
        names: the variants to show, in this order.
    """
    lines = ["| | seeds | digit-FID | % of noise | label KL | classes |", "|---|---|---|---|---|---|"]
    for name in names:
        runs = results["variants"][name]
        mean = {key: sum(run[key] for run in runs) / len(runs) for key in runs[0]}
        lines.append(
            f"| {name} | {len(runs)} | {mean['digit_fid']:.0f} | {mean['digit_fid_percent']:.2f} "
            f"| {mean['label_kl']:.3f} | {mean['classes']:.1f} |"
        )
    lines.append(f"| *real training digits: the floor* | | {results['digit_fid_floor']:.1f} | | | 10 |")
    return "\n".join(lines)


def settings_table(configs: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Return hyper-parameters as a Markdown table, one column per config; widths read 256-512."""
    lines = ["| | " + " | ".join(configs) + " |", "|---" * (len(configs) + 1) + "|"]
    for name in fields:
        values = [getattr(config, name) for config in configs.values()]
        cells = ["-".join(map(str, v)) if isinstance(v, tuple) else f"{v}" for v in values]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)
