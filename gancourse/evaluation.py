"""What a system drew → the measures of its data: one table from measure to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gancourse import datasets, images, metrics
from gancourse.datasets import toy
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


def _pictures(report: Callable[..., dict[str, Any]]) -> Measure:
    return lambda data, drawn: report(images.to_uint8(drawn.x).cpu(), drawn.c)


MEASURES: dict[str, Measure] = {
    "modes": modes,
    "digits": _pictures(metrics.digit_report),
    "fashion": _pictures(metrics.fashion_report),
}
"""Measure, as the table of ``gancourse.datasets`` names it → report."""


def evaluate(system: System, *, seed: int = 1, n: int | None = None) -> dict[str, Any]:
    """Draw samples from a system's averaged generator and measure them as its data are measured.

    A conditional system is asked for classes drawn uniformly, and the report says how often it obeyed.

    Args:
        system: any system; its data's row in ``gancourse.datasets`` says what is measured, and on how many samples.
        seed: of the samples.
        n: how many samples in place of the row's number.

    Returns:
        ``samples``, ``sample_seed``, and the keys of the report; nothing else where the data have no measure.
    """
    name = system.config.data
    row = datasets.get(name)
    drawn = system.draw(n or row.samples, seed=seed)
    report = MEASURES[row.measure](name, drawn) if row.measure else {}
    return {"samples": len(drawn.x), "sample_seed": seed, **report}
