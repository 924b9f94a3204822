"""WGAN-GP: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", https://arxiv.org/abs/1704.00028.

min_D E[D(x̃)] - E[D(x)] + λ E[(‖∇_x̂ D(x̂)‖₂ - 1)²],   x̂ = εx + (1 - ε)x̃,  one ε ~ U[0, 1] per sample   (equation 3)
min_G -E[D(x̃)],   x̃ = G(z)                                                          (algorithm 1)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancourse import losses, penalties
from gancourse.errors import UserError, check_real
from gancourse.resnets import ResNet32
from gancourse.systems import gan, testbed
from gancourse.systems.configs import Adversarial

SIDES = ("two", "one")


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(Adversarial):
    """The game of a critic whose slope is held near 1 by a penalty.

    Attributes:
        gp_weight: λ, the weight of the penalty.
        gp_sided: "two", or "one" to punish only slopes above 1.
    """

    gp_weight: float = 10.0
    gp_sided: str = "two"
    k: int = 5
    g_lr: float = 1e-4
    d_lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("gp_weight", self.gp_weight, 1e-9, 1e6)
        if self.gp_sided not in SIDES:
            raise UserError(
                f"gp_sided={self.gp_sided!r} is neither 'two' nor 'one' (only slopes above 1 are punished)."
            )


class WGANGP(gan.GAN):
    """The game of the GAN between a critic with a penalty on its slope and a generator.

    The log notes the estimate E[D(x)] - E[D(x̃)], without the penalty, and the penalty, without its weight.
    """

    config: WGANGPConfig
    notes = ("w_estimate", "penalty", "d_real", "d_fake", "d_fake_after")

    def __init__(self, config: WGANGPConfig, device: torch.device) -> None:
        super().__init__(config, device)
        penalties.check_samples_apart(self.D, "The gradient penalty")

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[D(x̃)] - E[D(x)] + λ E[(‖∇_x̂ D(x̂)‖₂ - 1)²]."""
        real, generated = self.see("d_real", self.D(x, c)), self.see("d_fake", self.D(fake, c))  # scores (B,)
        loss = losses.wasserstein_d_loss(real, generated)
        self.see("w_estimate", -loss)
        x_hat = penalties.between(x, fake, self.uniform(self.count(x)))  # (B, *sample_shape)
        penalty = penalties.gradient_penalty(lambda at: self.D(at, c), x_hat, sided=self.config.gp_sided)
        return loss + self.config.gp_weight * self.see("penalty", penalty)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[D(x̃)]."""
        return losses.wasserstein_g_loss(self.see("d_fake_after", self.D(fake, c)))


# ---------------------------------------------------------------------------------------------- recipes

build = WGANGP
PAPER_SOURCE = (
    "the unconditional ResNet for CIFAR-10 of the paper's appendix C and of gan_cifar_resnet.py, "
    "https://github.com/igul222/improved_wgan_training (the paper prints no parameter counts)"
)


def paper() -> dict[str, nn.Module]:
    """Return the ResNets of the CIFAR-10 experiment: G 1,204,483 and D 1,053,825 parameters."""
    spec = ResNet32(g_width=128, d_width=128)
    return {"G": spec.generator(), "D": spec.discriminator()}


RECIPES = testbed.recipes(
    "wgan-gp",
    WGANGPConfig,
    build,
    points={"gp_weight": 1.0},
    pictures={},
    minutes={
        "plane": "about 2 minutes on two cores",
        "pictures": "about 4 minutes on two cores",
    },
    bands={"digits": "digit-FID at most 1.5 % of uniform noise's, all ten classes (mini set: at most 4 %)"},
    steps=(5_000, 3_000),
)
