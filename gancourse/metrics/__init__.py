"""How good are the samples? Modes of 2-D mixtures, distances between samples, and how judges see pictures.

Distances and shares are taken between *features*: points of the plane as they are, or what a fixed network (a
judge) says about pictures. A figure means something only beside its protocol: every report carries the number
of samples and the features it was made with, and :func:`.reports.compare` refuses two reports whose protocols
differ. Reports on digits, clothes and faces carry the figures that frame them too (real against real, and uniform
noise against real).

Take every name from here, as in ``metrics.kid``: a module of this folder is loaded when one of its names is first
asked for, so that the import alone loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gancourse.metrics.attributes import FaceJudgement, face_judge_card, judge_faces
    from gancourse.metrics.distances import (
        CELLS,
        Estimate,
        Neighbours,
        class_diversity,
        coverage_of_equals,
        density_coverage,
        feature_frechet,
        frechet_distance,
        inception_score,
        kid,
        kid_full,
        nearest,
        precision_recall,
    )
    from gancourse.metrics.face_reports import (
        FACE_STATISTICS,
        FaceStatistics,
        face_features,
        face_report,
        face_statistics,
        reference_face_statistics,
    )
    from gancourse.metrics.features import (
        FASHION_STATISTICS,
        STATISTICS,
        Features,
        Judgement,
        Statistics,
        digit_features,
        digit_source,
        fashion_features,
        fashion_source,
        inception_features,
        judge_digits,
        judge_fashion,
        reference_statistics,
        statistics,
        statistics_file,
        uniform_noise,
    )
    from gancourse.metrics.inputs import Array
    from gancourse.metrics.points import label_kl, mode_report
    from gancourse.metrics.reports import (
        CLASS_SHARE,
        PROTOCOL,
        compare,
        digit_report,
        fashion_report,
        feature_report,
    )

__all__ = [
    "CELLS",
    "CLASS_SHARE",
    "FACE_STATISTICS",
    "FASHION_STATISTICS",
    "JUDGES",
    "PROTOCOL",
    "STATISTICS",
    "Array",
    "Estimate",
    "FaceJudgement",
    "FaceStatistics",
    "Features",
    "Judgement",
    "Neighbours",
    "Statistics",
    "class_diversity",
    "compare",
    "coverage_of_equals",
    "density_coverage",
    "digit_features",
    "digit_report",
    "digit_source",
    "face_features",
    "face_judge_card",
    "face_report",
    "face_statistics",
    "fashion_features",
    "fashion_report",
    "fashion_source",
    "feature_frechet",
    "feature_report",
    "frechet_distance",
    "inception_features",
    "inception_score",
    "judge_digits",
    "judge_faces",
    "judge_fashion",
    "kid",
    "kid_full",
    "label_kl",
    "mode_report",
    "nearest",
    "precision_recall",
    "reference_face_statistics",
    "reference_statistics",
    "statistics",
    "statistics_file",
    "uniform_noise",
]

JUDGES: dict[str, str] = {
    "digits-judge": "the small classifier that judges digits",
    "fashion-judge": "the small classifier that judges clothes",
    "faces-judge": "the small network that reads every attribute of a drawn face",
}
"""Judge → title. ``gancourse.metrics.judges`` trains them, and ``gancourse.metrics.attributes`` that of faces."""

_MODULES = {
    "inputs": "Array",
    "points": "label_kl mode_report",
    "distances": (
        "CELLS Estimate Neighbours class_diversity coverage_of_equals density_coverage "
        "feature_frechet frechet_distance inception_score kid kid_full nearest precision_recall"
    ),
    "judges": "",
    "attributes": "FaceJudgement face_judge_card judge_faces",
    "features": (
        "FASHION_STATISTICS STATISTICS Features Judgement Statistics digit_features digit_source "
        "fashion_features fashion_source inception_features judge_digits judge_fashion "
        "reference_statistics statistics statistics_file uniform_noise"
    ),
    "reports": "CLASS_SHARE PROTOCOL compare digit_report fashion_report feature_report",
    "face_reports": (
        "FACE_STATISTICS FaceStatistics face_features face_report face_statistics reference_face_statistics"
    ),
}
"""Module of this folder → the names that it gives. A module imports earlier ones only."""

_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


if not TYPE_CHECKING:  # mypy knows the names from the imports above, and a misspelt one is an error

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name in _HOME:
            return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
