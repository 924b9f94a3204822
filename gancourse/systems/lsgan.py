"""LSGAN: Mao et al. 2017, "Least squares generative adversarial networks", https://arxiv.org/abs/1611.04076.

min_D ½ E_{x ~ p_data}[(D(x) - b)²] + ½ E_{z ~ p_z}[(D(G(z)) - a)²]
min_G ½ E_{z ~ p_z}[(D(G(z)) - c)²]                                                    (equation 2)

D(x) is a score, the raw output of the network: there is no sigmoid, neither in D nor in the losses. The networks of
the recipes are those of ``gancourse.systems.gan``, so that only the objective differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from gancourse import losses
from gancourse.datasets.source import Batch
from gancourse.errors import UserError
from gancourse.systems import gan
from gancourse.systems.base import Recipe


@dataclass(frozen=True, kw_only=True)
class LSGANConfig(gan.GANConfig):
    """Hyper-parameters of the least-squares GAN: those of the GAN, and three targets.

    Attributes:
        loss: "least squares" and nothing else; it is here so that a card tells the truth.
        a: D's target for generated samples.
        b: D's target for data.
        c: the score that G wants for its samples.
    """

    loss: str = "least squares"
    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        shared = {field.name: getattr(self, field.name) for field in fields(gan.GANConfig)}
        gan.GANConfig(**{**shared, "loss": "nonsaturating"})  # all other fields are checked there
        if self.loss != "least squares":
            raise UserError(f"loss={self.loss!r}: an LSGAN has one loss, least squares. Its targets are a, b and c.")
        for name in ("a", "b", "c"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"{name}={value!r} must be a finite number: it is a target for D's score.")
        losses.check_targets(self.a, self.b)
        if (self.c - self.a) * (self.b - self.a) <= 0:
            raise UserError(
                f"c={self.c:g} does not lie on b's side of a={self.a:g}: G would want the very score that D gives to "
                f"generated samples, or one beyond it, and they would not play against each other. Take c={self.b:g}."
            )


class LSGAN(gan.GAN):
    """The two phases of the GAN with squared distances to targets instead of cross-entropies."""

    config: LSGANConfig

    def d_loss(self, batch: Batch) -> Tensor:
        """Return ½ E[(D(x) - b)²] + ½ E[(D(G(z)) - a)²] for one batch."""
        with torch.no_grad():  # G is not updated here
            fake = self.G(self.noise(len(batch.x)))  # (B, *sample_shape)
        real_scores = self.D(batch.x)  # (B,)
        fake_scores = self.D(fake)  # (B,)
        self._seen |= {"d_real": real_scores, "d_fake": fake_scores}
        return losses.least_squares_d_loss(real_scores, fake_scores, self.config.a, self.config.b)

    def g_loss(self, batch: None) -> Tensor:
        """Return ½ E[(D(G(z)) - c)²]."""
        fake_scores = self.D(self.G(self.noise(self.config.batch_size)))  # (B,)
        self._seen["d_fake_after"] = fake_scores
        return losses.least_squares_g_loss(fake_scores, self.config.c)

    def readings(self) -> dict[str, float]:
        """Return the mean score of data, of fakes before D's update, and of fakes after it.

        These are no probabilities: they may leave [a, b]. Where the game rests, all three are (a + b) / 2.
        """
        return {name: float(self._seen[name].detach().mean()) for name in self.reading_names}


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


PAPER = LSGANConfig(
    sample_shape=(3, 112, 112), latent_dim=1024, batch_size=64, steps=1_000_000, g_lr=1e-3, d_lr=1e-3, averaging=0.0
)
"""The LSUN experiment: noise, batch and Adam as in the authors' code; the networks are built by `build_paper`."""
PAPER_SOURCE = (
    "the networks for LSUN at 112 px in the authors' vgg.py, https://github.com/xudonmao/LSGAN "
    "(convolutions; the paper prints no parameter counts)"
)


def build_paper(config: LSGANConfig, device: torch.device) -> SimpleNamespace:
    """Return the paper's two convolutional networks, to be counted; the recipes do not train them."""
    networks = {"G": PaperGenerator(config.latent_dim).to(device), "D": PaperDiscriminator().to(device)}
    return SimpleNamespace(config=config, networks=networks)


# ---------------------------------------------------------------------------------------------- recipes

build = LSGAN


def _like(recipe: Recipe, name: str, title: str, **texts: dict[str, str]) -> Recipe:
    """Return a GAN's recipe with the objective exchanged: networks, data, steps and Adam stay what they are there."""
    shared = {field.name: getattr(recipe.config, field.name) for field in fields(gan.GANConfig)}
    config = LSGANConfig(**{**shared, "loss": "least squares"})
    return Recipe(name=name, title=title, system="lsgan", config=config, build=LSGAN, profiles=recipe.profiles, **texts)


RECIPES = {
    "digits-lsgan": _like(
        gan.RECIPES["digits-mlp"],
        "digits-lsgan",
        "a fully connected least-squares GAN on handwritten digits",
        minutes={"smoke": "a few seconds", "cpu": "about 2 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={
            "cpu": "digit-FID at most 2 % of uniform noise's, all ten classes (mini set: at most 3 %)",
            "gpu": "digit-FID at most 1 % of uniform noise's, all ten classes, label KL at most 0.05 nats",
        },
    ),
    "ring-lsgan": _like(
        gan.RECIPES["ring-gan"],
        "ring-lsgan",
        "a least-squares GAN on a ring of eight Gaussians",
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores"},
        band={"cpu": "all eight modes, at least 80 % of the points of high quality"},
    ),
}
