"""The card of a run, which tells people what it is and what it is worth, and the tables of the chapters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gancourse import systems


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
    from gancourse.logs import read_metrics

    return float(read_metrics(folder / "metrics.csv")["seconds"][-1])


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
    """Return hyper-parameters as a Markdown table, one column per config; widths read 256-512.

    The length of a label's vector is left out (–) where the networks join none to z or x.
    """
    lines = ["| | " + " | ".join(configs) + " |", "|---" * (len(configs) + 1) + "|"]
    for name in fields:
        values = [getattr(config, name) if _is_used(config, name) else "–" for config in configs.values()]
        cells = ["-".join(map(str, v)) if isinstance(v, tuple) else f"{v}" for v in values]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _is_used(config: Any, name: str) -> bool:
    """Tell whether the networks of a config read this setting."""
    if name == "g_label_dim":
        return bool(config.g_condition == "concat")
    if name == "d_label_dim":
        return config.d_condition in ("concat", "two-scores")
    return True
