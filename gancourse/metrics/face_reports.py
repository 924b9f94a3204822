"""The report on generated faces: distance to the drawn ones, shares of every attribute, obedience, diversity.

The report says too what a perfect generator would score. This is measured on ``fresh`` heads: 10,000 that were drawn
for it alone, since the judge has been trained on the train split, and figures are taken against the test split.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gancourse.datasets import faces, idx
from gancourse.datasets.heads import PARTS
from gancourse.errors import UserError, unknown
from gancourse.metrics import judges
from gancourse.metrics.attributes import FEATURES, FaceJudgement, face_judge_card, judge_faces
from gancourse.metrics.distances import class_diversity, frechet_distance
from gancourse.metrics.features import Features
from gancourse.metrics.inputs import Array

FACE_STATISTICS = judges.WEIGHTS / "faces-statistics.safetensors"
REFERENCES = (*idx.SPLITS, "smiles")
PAIRED = 2_000
"""The mean distance of two faces is taken over the pairs of at most so many."""


@dataclass(frozen=True, eq=False)
class FaceStatistics:
    """What stands for a set of faces.

    Attributes:
        mean: float64 (96,), of the judge's features.
        covariance: float64 (96, 96), divided by N - 1.
        shares: float64 (41,), the share of every value of every label, as the judge reads them, label after label.
        diversity: the mean distance of two faces, in feature units.
    """

    mean: Tensor
    covariance: Tensor
    shares: Tensor
    diversity: float


def face_statistics(judgement: FaceJudgement) -> FaceStatistics:
    """Return the statistics of judged faces; warns when they are too few for a covariance.

    Raises:
        UserError: there is one face only.
    """
    x = judgement.features.double()
    if len(x) < 2:
        raise UserError("A covariance needs at least 2 images; face_fid is meant for 10,000.")
    if len(x) <= FEATURES:
        warnings.warn(
            f"face_fid: {len(x)} images are too few for {FEATURES} features. The covariance is singular and the "
            "distance far too large; use 10,000 images.",
            stacklevel=3,
        )
    columns = zip(judgement.factors.labels.T, faces.CLASSES, strict=True)
    shares = [column.bincount(minlength=classes).double() / len(x) for column, classes in columns]
    one_class = torch.zeros(len(x), dtype=torch.long, device="cpu")
    diversity = class_diversity(judgement.features, one_class, 1, PAIRED)
    return FaceStatistics(x.mean(dim=0), torch.cov(x.T), torch.cat(shares), float(diversity[0]))


@functools.cache
def reference_face_statistics(name: str) -> FaceStatistics:
    """Return shipped statistics: ``train``, ``test``, ``fresh``, ``smiles``, ``fresh-smiles`` or ``uniform``.

    The size stands before it, as in ``"64-test"``.

    Raises:
        UserError: there are none of that name, or the file is missing, damaged, or made with another judge.
    """
    try:
        with safe_open(FACE_STATISTICS, framework="pt") as file:
            made_with = (file.metadata() or {}).get("judge")
            names = sorted({key.rsplit(".", 1)[0] for key in file.keys()})
            if name not in names:
                raise unknown("statistics", name, names)
            parts = [file.get_tensor(f"{name}.{part}") for part in ("mean", "covariance", "shares", "diversity")]
    except (OSError, SafetensorError) as error:
        raise UserError(f"{FACE_STATISTICS} is missing or damaged ({error}). Install gancourse again.") from None
    if made_with != face_judge_card()["sha256"]:
        raise UserError(
            f"{FACE_STATISTICS} was made with another judge. Install gancourse again, or make it anew with "
            "python book/tools/make_statistics.py faces-judge."
        )
    mean, covariance, shares, diversity = (part.double() for part in parts)
    return FaceStatistics(mean, covariance, shares, float(diversity))


def face_features(images: Array, device: str | torch.device | None = None) -> Features:
    """Return the face judge's features (N, 96) of uint8 faces, as :func:`.judge_faces` takes them."""
    source = f"face-judge {face_judge_card()['sha256'][:12]}"
    return Features(judge_faces(images, device).features, source)


def face_report(
    images: Array,
    labels: Array | None = None,
    *,
    reference: str = "test",
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure generated faces against the drawn ones, in the features and labels of the face judge.

    The drawn faces' statistics ship with the package, so nothing has to be drawn. The distance falls as N grows:
    compare figures at one N and one size only (the course's N is 10,000), and never with an Inception FID.

    Read ``face_fid_percent`` first: noise has 100. Then ``gap`` beside ``gap_floor``, and which ``gap_…`` it comes
    from: with 20 points of ``gap_glasses`` the judge reads one kind of glasses in 20 of 100 faces too many or too few.
    Blur alone does that too (chapter 11). With ``diversity`` well below 1 a generator repeats itself.

    Args:
        images: uint8 (N, 32, 32, 3) or (N, 64, 64, 3).
        labels: int (N, 8), what was asked of a conditional generator, a column for each of ``heads.PARTS``; -1 where
            nothing was asked. None: nothing was.
        reference: what to measure against: ``"test"``, or ``"train"`` while tuning; ``"smiles"`` for a generator of
            the data set of that name: the faces of the test split that smile, beside fresh ones that do.
        device: where the judge runs; None is the machine's best.

    Returns:
        A dictionary with the keys

        - ``data``, ``reference``, ``size``: ``"full"``, as above, and 32 or 64.
        - ``judge``: the first 12 digits of the judge's sha256; figures of different judges do not compare.
        - ``n``: N.
        - ``face_fid``: the squared Fréchet distance to the reference split, in squared feature units.
        - ``face_fid_floor``: the same between 10,000 fresh heads and the reference split: no generator can do better,
          but by chance or by heart.
        - ``face_fid_uniform``: the same between uniform noise and the reference split.
        - ``face_fid_percent``: 100 · face_fid / face_fid_uniform.
        - ``gap_hair`` … ``gap_clothes_colour``: for each label the largest difference, over its values, between the
          share of the faces that the judge reads it in and the same share of the reference split, in points of 100.
        - ``gap``: the largest of these.
        - ``gap_floor``: the same of 10,000 fresh heads: what chance alone does.
        - ``diversity``: the mean distance of two faces in the features, as a multiple of the reference split's. Drawn
          faces score 1, one memorised face 0.
        - ``smiling``: the share of the faces whose mouth is read as curved upwards, as in the data set ``smiles``; of
          the test split 0.3.
        - ``confidence``: the mean probability that the judge gives to the labels that it reads, 0 … 1.
        - ``attribute_accuracy``: of the labels that were asked for, the share that the judge reads; None without
          `labels`. A colour of hair that is asked for under a hat, without a beard, cannot be seen and does not count.
          A perfect generator scores what the judge reads right of drawn faces (:func:`.face_judge_card`).
        - ``attribute_accuracy_min``: that share for the label of which it is smallest.

    Raises:
        UserError: images or labels of another type or shape, labels that there are not, or an unknown reference.
    """
    if reference not in REFERENCES:
        raise unknown("reference", reference, REFERENCES)
    judgement = judge_faces(images, device)
    pictures = torch.as_tensor(images)
    if len(pictures) > 1 and bool((pictures == pictures[:1]).all()):
        warnings.warn(
            f"All {len(pictures)} images are the same: constant images, or a generator that has collapsed to one.",
            stacklevel=2,
        )
    asked = None if labels is None else _asked(labels, len(pictures))
    size = pictures.shape[1]
    found = face_statistics(judgement)
    real = reference_face_statistics(f"{size}-{reference}")
    fresh = reference_face_statistics(f"{size}-fresh-smiles" if reference == "smiles" else f"{size}-fresh")
    distance = _distance(found, real)
    uniform = _distance(reference_face_statistics(f"{size}-uniform"), real)
    gaps = _gaps(found, real)
    return {
        "data": "full",
        "reference": reference,
        "size": size,
        "judge": face_judge_card()["sha256"][:12],
        "n": len(pictures),
        "face_fid": distance,
        "face_fid_floor": _distance(fresh, real),
        "face_fid_uniform": uniform,
        "face_fid_percent": 100 * distance / uniform,
        **{f"gap_{part.name}": gap for part, gap in zip(PARTS, gaps, strict=True)},
        "gap": max(gaps),
        "gap_floor": max(_gaps(fresh, real)),
        "diversity": found.diversity / real.diversity,
        "smiling": float((judgement.factors.column("smile") >= faces.SMILING).double().mean()),
        "confidence": float(judgement.confidence.mean()),
        **_obedience(judgement, asked),
    }


def _distance(first: FaceStatistics, second: FaceStatistics) -> float:
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def _gaps(found: FaceStatistics, real: FaceStatistics) -> list[float]:
    """Return, for each label, the largest difference between two shares of one of its values, in points of 100."""
    return [100 * float(gap.max()) for gap in (found.shares - real.shares).abs().split(faces.CLASSES)]


def _asked(labels: Array, n: int) -> Tensor:
    """Return the labels that were asked for, int64 (n, 8), after checking them."""
    y = torch.as_tensor(labels).detach().cpu()
    if y.is_floating_point() or y.dtype == torch.bool or tuple(y.shape) != (n, len(PARTS)):
        raise UserError(
            f"Expected labels as whole numbers ({n}, {len(PARTS)}), a column for each of "
            f"{', '.join(part.name for part in PARTS)}; got {y.dtype} {tuple(y.shape)}."
        )
    y = y.long()
    for part, column, classes in zip(PARTS, y.T, faces.CLASSES, strict=True):
        if n and not -1 <= int(column.min()) <= int(column.max()) < classes:
            raise UserError(
                f"Labels of {part.name} go from 0 to {classes - 1}, and -1 where nothing was asked; got "
                f"{int(column.min())} to {int(column.max())}."
            )
    return y


def _obedience(judgement: FaceJudgement, asked: Tensor | None) -> dict[str, float | None]:
    """Return how often the judge reads what was asked for, as far as it can be seen; None where nothing was."""
    keys = ("attribute_accuracy", "attribute_accuracy_min")
    if asked is None:
        return dict.fromkeys(keys)
    counts = (asked >= 0) & faces.Factors(asked, judgement.factors.values).visible()
    if not counts.any():
        return dict.fromkeys(keys)
    right = judgement.factors.labels == asked
    shares = [float(one[there].double().mean()) for one, there in zip(right.T, counts.T, strict=True) if there.any()]
    return dict(zip(keys, (float(right[counts].double().mean()), min(shares)), strict=True))
