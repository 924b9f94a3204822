"""SNGAN: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", https://arxiv.org/abs/1802.05957.

min_D E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]                                     (equation 16)
min_G -E[D(G(z))]                                                                      (equation 17)

Every weight matrix of D is divided by its largest singular value, W̄ = W / σ(W), which one step of the power iteration
per forward pass tracks (algorithm 1): ``d_norm="spectral"`` of the networks, :class:`gancourse.layers.SpectralNorm`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancourse import losses
from gancourse.errors import unknown
from gancourse.resnets import ConditionalResNet32, ResNet32
from gancourse.systems import gan, testbed
from gancourse.systems.configs import Adversarial

LOSSES = {
    "hinge": (losses.hinge_d_loss, losses.wasserstein_g_loss),
    "nonsaturating": (losses.discriminator_loss, losses.nonsaturating_loss),
    "wasserstein": (losses.wasserstein_d_loss, losses.wasserstein_g_loss),
}


@dataclass(frozen=True, kw_only=True)
class SNGANConfig(Adversarial):
    """The game of a discriminator whose layers are divided by their spectral norms.

    Attributes:
        loss: "hinge", "nonsaturating" (both in the paper), or "wasserstein", which the bounded slope also allows.
    """

    loss: str = "hinge"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise unknown("loss", str(self.loss), LOSSES)


class SNGAN(gan.GAN):
    """The game of the GAN with the hinge loss. The log notes mean scores: they are no probabilities."""

    config: SNGANConfig

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], or what `loss` asks for."""
        real, generated = self.see("d_real", self.D(x, c)), self.see("d_fake", self.D(fake, c))  # scores (B,)
        return LOSSES[self.config.loss][0](real, generated)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[D(G(z))], or what `loss` asks for."""
        return LOSSES[self.config.loss][1](self.see("d_fake_after", self.D(fake, c)))


# ------------------------------------------------------------------------------------- the paper's networks


class StandardGenerator(nn.Sequential):
    """z of shape (B, 128) to pictures (B, 3, 32, 32) in [-1, 1] (table 3, left)."""

    def __init__(self, latent_dim: int = 128) -> None:
        super().__init__(nn.Linear(latent_dim, 512 * 4 * 4), nn.Unflatten(1, (512, 4, 4)))
        for width in (512, 256, 128):
            self.append(nn.ConvTranspose2d(width, width // 2, 4, 2, padding=1))
            self.append(nn.BatchNorm2d(width // 2)).append(nn.ReLU())
        self.append(nn.Conv2d(64, 3, 3, padding=1)).append(nn.Tanh())


class StandardDiscriminator(nn.Sequential):
    """Pictures (B, 3, 32, 32) to scores (B, 1), every layer with a spectral norm (table 3, right)."""

    def __init__(self) -> None:
        super().__init__()
        before = 3
        for width in (64, 128, 256):
            for layer in (nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 4, 2, padding=1)):
                self.append(spectral_norm(layer)).append(nn.LeakyReLU(0.1))
            before = width
        self.append(spectral_norm(nn.Conv2d(256, 512, 3, padding=1))).append(nn.LeakyReLU(0.1))
        self.append(nn.Flatten()).append(spectral_norm(nn.Linear(512 * 4 * 4, 1)))


PAPER_SOURCE = (
    "tables 3 and 4 of the paper for 32 px, biases kept; the ResNet as in mimicry, https://github.com/kwotsin/mimicry; "
    "projection: https://arxiv.org/abs/1802.05637 (the papers print no parameter counts)"
)


def paper() -> dict[str, nn.Module]:
    """Return the networks for 32 px: the standard CNN, the ResNet, and the ResNet with projection for ten classes."""
    resnet = ResNet32(g_width=256, d_width=128, d_norm="spectral")
    projection = ConditionalResNet32(g_width=256, d_width=128, d_norm="spectral", classes=10)
    return {
        "G, standard CNN": StandardGenerator(),
        "D, standard CNN": StandardDiscriminator(),
        "G, ResNet": resnet.generator(),
        "D, ResNet": resnet.discriminator(),
        "G, ResNet with projection": projection.generator(),
        "D, ResNet with projection": projection.discriminator(),
    }


# ---------------------------------------------------------------------------------------------- recipes

build = SNGAN
RECIPES = testbed.recipes(
    "sngan",
    SNGANConfig,
    build,
    points={"d_norm": "spectral"},
    pictures={"d_norm": "spectral"},
    minutes={
        "plane": "about 1 minute on two cores (estimated)",
        "pictures": "about 2 minutes on two cores (estimated)",
    },
    bands={
        "ring": "none: of five seeds two reached all eight modes, and three ended near zero",
        "grid": "all 25 modes, at least 45 % of the points of high quality (of five seeds four above 90 %)",
        "digits": "digit-FID at most 1.5 % of uniform noise's, all ten classes (mini set: at most 4 %)",
    },
)
