"""Chapter 2: the digit recipe, its parts taken away one by one, and the four programs of the notes."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from gancourse.systems import gan
from gancourse.systems.notes import NOTES
from studies import Study, Variant, figures

SAMPLES = 10_000
KEPT = ("digit_fid", "digit_fid_percent", "label_kl", "classes")


class UnscaledData(gan.GAN):
    """Program A: tanh emits [-1, 1], but the images stay in [0, 1]; what is negative is shown as black."""

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss on images in [0, 1]."""
        return super().d_loss((x + 1) / 2, fake, c)

    def generate(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return samples mapped from [0, 1] to the package's [-1, 1]."""
        return super().generate(z, c).clamp(0, 1) * 2 - 1


digits = partial(Variant, recipe="digits-mlp", measure=lambda run: figures(run.system, KEPT, SAMPLES))

PARTS: dict[str, dict[str, Any]] = {
    "digits-mlp": {},
    "without BatchNorm in G": {"g_norm": "none"},
    "without dropout in D": {"d_dropout": 0.0},
    "beta1 0.9 in place of 0.5": {"beta1": 0.9},
    "ReLU in D in place of LeakyReLU": {"d_activation": "relu"},
    "without averaging": {"averaging": 0.0},
    "minimax loss": {"loss": "minimax"},
}
PROGRAMS = {
    f"program {name}": digits(changes=changes, build=UnscaledData if name == "A" else None)
    for name, changes in NOTES["digits-mlp"].items()
}

STUDY = Study(
    variants={**{name: digits(changes=changes) for name, changes in PARTS.items()}, **PROGRAMS},
    steps=5_000,
    seeds=(0, 1, 2),
    samples=SAMPLES,
)
