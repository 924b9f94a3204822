"""What a system drew → the measures of its data: one table from measure to report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from gancourse import datasets, images, metrics, runtime
from gancourse.datasets import toy
from gancourse.errors import check_seed
from gancourse.systems.base import Drawn, System

Measure = Callable[[str, Drawn], dict[str, Any]]
"""Maps the name of the data and what was drawn to a report with fixed keys."""


def modes(data: str, drawn: Drawn) -> dict[str, Any]:
    """Return :func:`.mode_report` of points against their mixture.

    If the points were asked for by mode, ``label_accuracy`` is the share whose nearest mode is the one asked for.
    """
    mixture, points = toy.get(data), drawn.x.cpu()
    assert isinstance(mixture, toy.Mixture)  # only mixtures are measured so
    report = metrics.mode_report(points, mixture)
    if drawn.c is not None:
        nearest = torch.cdist(points, mixture.centres).argmin(dim=1)
        report["label_accuracy"] = float((nearest == drawn.c.cpu()).double().mean())
    return report


def _pictures(report: Callable[..., dict[str, Any]], **how: Any) -> Measure:
    return lambda data, drawn: report(images.to_uint8(drawn.x).cpu(), drawn.c, **how)


MEASURES: dict[str, Measure] = {
    "modes": modes,
    "digits": _pictures(metrics.digit_report),
    "fashion": _pictures(metrics.fashion_report),
    "faces": _pictures(metrics.face_report),
    "smiles": _pictures(metrics.face_report, reference="smiles"),
}
"""Measure, as the table of ``gancourse.datasets`` names it → report."""


def incomparable(name: str, n: int) -> str:
    """Return a sentence if so few samples of the data called `name` give numbers of another kind, else ""."""
    row = datasets.get(name)
    if row.measure is None or n >= row.samples:
        return ""
    return (
        f"Measured on {n:,} samples: these numbers are not comparable with others, which are measured on "
        f"{row.samples:,}. Distances and divergences come out too large on fewer."
    )


def evaluate(system: System, *, seed: int = 1, n: int | None = None, quiet: bool | None = None) -> dict[str, Any]:
    """Draw samples from a system's averaged generator and measure them as its data are measured.

    A conditional system is asked for classes drawn uniformly, and the report says how often it obeyed.

    Args:
        system: any system; its data's row in ``gancourse.datasets`` says what is measured, and on how many samples.
        seed: of the samples.
        n: how many samples in place of the row's number. Fewer give numbers that are not comparable, and it is said.
        quiet: do not say it; None: be quiet at the profile smoke, whose numbers mean nothing anyway.

    Raises:
        UserError: a seed or a number of samples out of range.

    Returns:
        ``samples``, ``sample_seed``, and the keys of the report; nothing else where the data have no measure.
    """
    name = system.config.data
    row = datasets.get(name)
    seed, n = check_seed(seed), row.samples if n is None else n
    drawn = system.draw(n, seed=seed)
    if (told := incomparable(name, n)) and not (runtime.profile() == "smoke" if quiet is None else quiet):
        print(told, file=sys.stderr)
    report = MEASURES[row.measure](name, drawn) if row.measure else {}
    return {"samples": len(drawn.x), "sample_seed": seed, **report}
