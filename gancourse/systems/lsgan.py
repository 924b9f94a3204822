"""LSGAN: Mao et al. 2017, "Least squares generative adversarial networks", https://arxiv.org/abs/1611.04076.

min_D ½ E_{x ~ p_data}[(D(x) - b)²] + ½ E_{z ~ p_z}[(D(G(z)) - a)²]
min_G ½ E_{z ~ p_z}[(D(G(z)) - c)²]                                                    (equation 2)

D(x) is a score, the raw output of the network: there is no sigmoid, neither in D nor in the losses. The paper's c is
called `target` here: a c is a condition everywhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from gancourse import losses
from gancourse.errors import UserError
from gancourse.systems import gan
from gancourse.systems.configs import Adversarial, Recipe


@dataclass(frozen=True, kw_only=True)
class LSGANConfig(Adversarial):
    """The game with squared distances to three targets.

    Attributes:
        a: D's target for generated samples.
        b: D's target for data.
        target: the score that G wants for its samples, the paper's c.
    """

    a: float = 0.0
    b: float = 1.0
    target: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("a", "b", "target"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"{name}={value!r} must be a finite number: it is a target for D's score.")
        losses.check_targets(self.a, self.b)
        if (self.target - self.a) * (self.b - self.a) <= 0:
            raise UserError(
                f"target={self.target:g} does not lie on b's side of a={self.a:g}: G would want the very score that D "
                f"gives to generated samples, or one beyond it, and they would not play against each other. "
                f"Take target={self.b:g}."
            )


class LSGAN(gan.GAN):
    """The game of the GAN with squared distances to targets in the place of cross-entropies.

    The notes of the log are mean scores and no probabilities: they may leave [a, b]. Where the game rests, all three
    are (a + b) / 2.
    """

    config: LSGANConfig

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return ½ E[(D(x) - b)²] + ½ E[(D(G(z)) - a)²]."""
        real, generated = self.see("d_real", self.D(x, c)), self.see("d_fake", self.D(fake, c))  # scores (B,)
        return losses.least_squares_d_loss(real, generated, self.config.a, self.config.b)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return ½ E[(D(G(z)) - target)²]."""
        return losses.least_squares_g_loss(self.see("d_fake_after", self.D(fake, c)), self.config.target)


# ------------------------------------------------------------------------------------- the paper's networks


class PaperGenerator(nn.Sequential):
    """z of shape (B, 1024) to pictures (B, 3, 112, 112) in [-1, 1] by seven transposed 3x3 convolutions."""

    def __init__(self, latent_dim: int = 1024) -> None:
        super().__init__(
            nn.Linear(latent_dim, 256 * 7 * 7), nn.Unflatten(1, (256, 7, 7)), nn.BatchNorm2d(256), nn.ReLU()
        )
        width = 256
        for out, stride in ((256, 2), (256, 1), (256, 2), (256, 1), (128, 2), (64, 2)):
            self.append(nn.ConvTranspose2d(width, out, 3, stride, padding=1, output_padding=stride - 1))
            self.append(nn.BatchNorm2d(out)).append(nn.ReLU())
            width = out
        self.append(nn.ConvTranspose2d(width, 3, 3, padding=1)).append(nn.Tanh())


class PaperDiscriminator(nn.Sequential):
    """Pictures (B, 3, 112, 112) to scores (B, 1) by four 5x5 convolutions of stride 2 and a linear layer."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 64, 5, 2, padding=2), nn.LeakyReLU(0.2))
        for width in (64, 128, 256):
            self.append(nn.Conv2d(width, 2 * width, 5, 2, padding=2))
            self.append(nn.BatchNorm2d(2 * width)).append(nn.LeakyReLU(0.2))
        self.append(nn.Flatten()).append(nn.Linear(512 * 7 * 7, 1))


PAPER_SOURCE = (
    "the networks for LSUN at 112 px in the authors' vgg.py, https://github.com/xudonmao/LSGAN "
    "(convolutions; the paper prints no parameter counts)"
)


def paper() -> dict[str, nn.Module]:
    """Return the two convolutional networks of the LSUN experiment, to be counted; the recipes do not train them."""
    return {"G": PaperGenerator(), "D": PaperDiscriminator()}


# ---------------------------------------------------------------------------------------------- recipes

build = LSGAN


def _like(recipe: Recipe, **texts: Any) -> Recipe:
    """Return a GAN's recipe with the objective exchanged: networks, data, steps and Adam stay what they are there."""
    shared = {f.name: getattr(recipe.config, f.name) for f in fields(Adversarial)}
    return Recipe(config=LSGANConfig(**shared), build=LSGAN, profiles=recipe.profiles, **texts)


RECIPES = {
    "digits-lsgan": _like(
        gan.RECIPES["digits-mlp"],
        minutes={"smoke": "a few seconds", "cpu": "about 2 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={
            "cpu": "digit-FID at most 2 % of uniform noise's, all ten classes (mini set: at most 3 %)",
            "gpu": "digit-FID at most 1 % of uniform noise's, all ten classes, label KL at most 0.05 nats",
        },
    ),
    "ring-lsgan": _like(
        gan.RECIPES["ring-gan"],
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores"},
        band={"cpu": "all eight modes, at least 80 % of the points of high quality"},
    ),
}
