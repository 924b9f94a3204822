"""Reports: all figures about a set of samples, with the protocol that they were measured by, and what compares."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gancourse.datasets import digits
from gancourse.errors import UserError, unknown
from gancourse.metrics import judges
from gancourse.metrics.distances import (
    class_diversity,
    density_coverage,
    feature_frechet,
    frechet_distance,
    kid,
    precision_recall,
)
from gancourse.metrics.features import (
    Features,
    Judgement,
    Statistics,
    judge_pictures,
    reference_statistics,
    statistics,
)
from gancourse.metrics.inputs import Array, checked_labels
from gancourse.metrics.points import label_kl

CLASS_SHARE = 0.01
"""A class counts as present when at least this share of the samples is labelled with it."""

# ----------------------------------------------------------------------------------------- digits and clothes


def digit_report(
    images: Array,
    labels: Array | None = None,
    *,
    data: str = "auto",
    reference: str = "test",
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure generated digits against real ones, in the features and labels of the digit judge.

    The real digits' statistics ship with the package, so no data set is needed. The distance falls as N
    grows: compare figures at one N only (the course's is 10,000), and never with an Inception FID.

    Args:
        images: uint8 (N, 28, 28, 1), or (N, 32, 32, 1), whose margin of 2 pixels is cut off.
        labels: int (N,), the classes that were asked of a conditional generator, or None.
        data: ``"full"`` or ``"mini"`` MNIST as the real digits; ``"auto"`` is full.
        reference: the split to measure against: ``"test"``, or ``"train"`` while tuning.
        device: where the judge runs; None is the machine's best.

    Returns:
        A dictionary with the keys

        - ``data``, ``reference``: as above, ``"full"`` or ``"mini"`` and ``"test"`` or ``"train"``.
        - ``judge``: the first 12 digits of the judge's sha256; figures of different judges do not compare.
        - ``n``: N.
        - ``digit_fid``: the squared Fréchet distance to the reference split, in squared feature units.
        - ``digit_fid_floor``: the same between the real train and test splits.
        - ``digit_fid_uniform``: the same between uniform noise and the reference split.
        - ``digit_fid_percent``: 100 · digit_fid / digit_fid_uniform.
        - ``label_kl``: KL(p ‖ q) in nats, p the judge's labels of the images and q the true labels of the
          reference split. A perfect sampler scores about 9 / 2N.
        - ``label_kl_uniform``: the same with q = 1/10 for every class: for a conditional generator that was asked
          for all classes equally often. The true test split has 0.002 of MNIST's own unevenness here.
        - ``classes``: how many classes have at least 1 % of the images, 0 … 10.
        - ``confidence``: the mean probability that the judge gives its labels, 0 … 1.

        and with those that need `labels`, and are None without them. They speak of the classes that were asked
        for; diversity needs a class to be asked for twice, and a warning names those that were not.

        - ``label_accuracy``: the share of images that the judge labels as asked.
        - ``label_accuracy_min``: the smallest of these shares over the classes that were asked for.
        - ``diversity``: :func:`.class_diversity` of the images, grouped by the class that was asked for, as a
          multiple of the real reference split's, averaged over the classes. Real digits score 1, ten memorised
          pictures 0; a generator that ignores its labels scores above 1, so read it beside ``label_accuracy``.
          Of each class at most 500 images are taken, with a fixed seed.
        - ``diversity_min``: the smallest of these multiples over the classes.

    Raises:
        UserError: images or labels of another type or shape, labels that are no digits, or an unknown data or
            reference.
    """
    return _report("digits-judge", "digit_fid", images, labels, data, reference, device)


def fashion_report(
    images: Array,
    labels: Array | None = None,
    *,
    data: str = "auto",
    reference: str = "test",
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure generated clothes against those of Fashion-MNIST, in the features and labels of the fashion judge.

    Arguments, keys and errors are those of :func:`digit_report`, but for the names of the distances:
    ``fashion_fid``, ``fashion_fid_floor``, ``fashion_fid_uniform`` and ``fashion_fid_percent``. It is another
    judge on other data: a fashion distance is never comparable with a digit distance, and :func:`compare` refuses.

    Clothes are harder to tell apart than digits (pullover, coat, shirt). The judge labels real test pictures
    right less often, ``gancourse.metrics.judges.judge_card("fashion-judge")["accuracy"]``: a perfect conditional
    generator has this ``label_accuracy``, with shirts far below it, and more of it means pictures that are more
    typical than the real ones. The judge was trained on mirrored pictures too: it labels them as well, but its
    features see the difference, because real shoes point to the left.
    """
    return _report("fashion-judge", "fashion_fid", images, labels, data, reference, device)


def _report(
    judge: str,
    fid: str,
    images: Array,
    labels: Array | None,
    data: str,
    reference: str,
    device: str | torch.device | None,
) -> dict[str, Any]:
    data = "full" if data == "auto" else data
    if data not in ("full", "mini"):
        raise unknown("data", data, ("auto", "full", "mini"))
    if reference not in digits.SPLITS:
        raise unknown("reference", reference, digits.SPLITS)
    judgement = judge_pictures(judge, images, device)
    pictures = torch.as_tensor(images)
    if len(pictures) > 1 and bool((pictures == pictures[:1]).all()):
        warnings.warn(
            f"All {len(pictures)} images are the same: constant images, or a generator that has collapsed to one.",
            stacklevel=3,
        )
    asked = None if labels is None else checked_labels(labels, len(judgement.labels), judges.CLASSES)
    found = statistics(judgement.features, judgement.labels, fid)
    real = reference_statistics(f"{data}-{reference}", judge)
    other = reference_statistics(f"{data}-{'train' if reference == 'test' else 'test'}", judge)
    distance, uniform = _distance(found, real), _distance(reference_statistics("uniform", judge), real)
    return {
        "data": data,
        "reference": reference,
        "judge": judges.judge_card(judge)["sha256"][:12],
        "n": len(judgement.labels),
        fid: distance,
        f"{fid}_floor": _distance(other, real),
        f"{fid}_uniform": uniform,
        f"{fid}_percent": 100 * distance / uniform,
        "label_kl": label_kl(found.labels, real.labels),
        "label_kl_uniform": label_kl(found.labels, torch.ones(judges.CLASSES, device="cpu")),
        "classes": int((found.labels >= CLASS_SHARE * len(judgement.labels)).sum()),
        "confidence": float(judgement.confidence.mean()),
        **_conditional(judgement, asked, real),
    }


def _distance(first: Statistics, second: Statistics) -> float:
    return frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def _conditional(judgement: Judgement, asked: Tensor | None, real: Statistics) -> dict[str, float | None]:
    """Return the figures of a report that need the classes that were asked for; all None without them."""
    keys = ("label_accuracy", "label_accuracy_min", "diversity", "diversity_min")
    if asked is None:
        return dict.fromkeys(keys)
    right = (judgement.labels == asked).double()
    shares = [float(right[asked == label].mean()) for label in asked.unique()]
    assert real.diversity is not None  # every reference split ships with it
    ratio = class_diversity(judgement.features, asked) / real.diversity
    ratio = ratio[~ratio.isnan()]
    spread = (float(ratio.mean()), float(ratio.min())) if len(ratio) else (None, None)
    return dict(zip(keys, (float(right.mean()), min(shares), *spread), strict=True))


# ------------------------------------------------------------------------------------------ reports to compare


def feature_report(real: Features, fake: Features, *, subset_size: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Measure generated pictures against real ones in the same features, with every distance between samples.

    Returns:
        A dictionary with the keys

        - ``features``, ``n_real``, ``n_fake``, ``subset_size``: the protocol; k is 3 and 5 as in the papers.
        - ``frechet``: :func:`.feature_frechet`; an FID where the features are Inception's.
        - ``kid``, ``kid_std``: :func:`.kid`, 100 subsets.
        - ``precision``, ``recall``, ``density``, ``coverage``.

    Raises:
        UserError: features of two sources, or what the single measures refuse.
    """
    if real.source != fake.source:
        raise UserError(
            f"The real features are from {real.source!r}, the fake ones from {fake.source!r}: make both anew."
        )
    distance = kid(real.values, fake.values, subset_size=subset_size, seed=seed)
    precision, recall = precision_recall(real.values, fake.values)
    density, coverage = density_coverage(real.values, fake.values)
    return {
        "features": real.source,
        "n_real": len(real.values),
        "n_fake": len(fake.values),
        "subset_size": subset_size,
        "frechet": feature_frechet(real.values, fake.values),
        "kid": distance.mean,
        "kid_std": distance.std,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
    }


PROTOCOL = ("features", "judge", "data", "reference", "size", "n", "n_real", "n_fake", "subset_size")
"""The keys of a report that must agree before its figures may be compared."""


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """Return second less first for each figure that two reports share, if their protocols are the same.

    Args:
        first, second: from :func:`feature_report`, or both from :func:`digit_report`, from :func:`fashion_report` or
            from :func:`.face_report`.

    Raises:
        UserError: features, sample counts or the reference differ, or one report does not name its features.
    """
    for name, report in (("first", first), ("second", second)):
        if not (report.get("features") or report.get("judge")):
            raise UserError(f"The {name} report does not say which features it was made with: measure again.")
    for key in PROTOCOL:
        if first.get(key) != second.get(key):
            raise UserError(
                f"These reports do not compare: {key} is {first.get(key)!r} in the first and {second.get(key)!r} in "
                "the second. Measure both in one way."
            )
    figures = [key for key, value in first.items() if key not in PROTOCOL and isinstance(value, float)]
    return {key: second[key] - first[key] for key in figures if isinstance(second.get(key), float)}
