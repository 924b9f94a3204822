"""Chapter 6: the recipe for clothes with and without the third term, the wrong pairs."""

from __future__ import annotations

from functools import partial

from studies import Study, Variant, figures
from studies.cgan import SAMPLES, obeyed

KEPT = ("label_accuracy", "fashion_fid", "fashion_fid_percent", "label_kl_uniform", "diversity", "classes")

clothes = partial(
    Variant, recipe="fashion-cgan", measure=lambda run: figures(run.system, KEPT, SAMPLES), look=obeyed, looks=10
)

STUDY = Study(
    variants={"fashion-cgan": clothes(), "without wrong pairs": clothes(changes={"wrong_pairs": "none"})},
    steps=5_000,
    seeds=(0, 1, 2),
    samples=SAMPLES,
)
