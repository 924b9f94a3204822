"""WGAN: Arjovsky et al. 2017, "Wasserstein GAN", https://arxiv.org/abs/1701.07875.

max_D E_{x ~ p_data}[D(x)] - E_{z ~ p_z}[D(G(z))]   over critics D whose weights lie in [-c, c]   (algorithm 1)
min_G -E_{z ~ p_z}[D(G(z))]

Weights in a box bound the critic's slope, by a number that nobody computes; divided by it, the value is a lower bound
of the Wasserstein distance W₁(p_data, p_g). The paper's c is called `clip` here: a c is a condition everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancourse import losses
from gancourse.errors import UserError, check_real
from gancourse.systems import dcgan, gan, testbed
from gancourse.systems.base import Phase
from gancourse.systems.configs import Adversarial


@dataclass(frozen=True, kw_only=True)
class WGANConfig(Adversarial):
    """The game of a clipped critic; both players move by RMSProp.

    Attributes:
        clip: c, the largest absolute value of a parameter of the critic.
        beta2: RMSProp's decay of the squared gradients (its paper-code calls it alpha).
        beta1: 0; RMSProp averages no gradients.
    """

    clip: float = 0.01
    k: int = 5
    g_lr: float = 5e-5
    d_lr: float = 5e-5
    beta1: float = 0.0
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("clip", self.clip, 1e-9, 1e3)
        if self.beta1:
            raise UserError(
                f"beta1={self.beta1:g} would be momentum, and RMSProp has none: the paper found that it makes this "
                "critic unstable (section 4). Leave beta1=0."
            )


class WGAN(gan.GAN):
    """The game of the GAN between a critic with clipped weights and a generator.

    The log notes the estimate E[D(x)] - E[D(G(z))], which is not yet divided by the critic's slope, and both means.
    """

    config: WGANConfig
    notes = ("w_estimate", "d_real", "d_fake", "d_fake_after")

    def __init__(self, config: WGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        d, g = self.phases
        self.phases = [Phase("d", d.loss, d.optimizer, repeat=config.k, after=self.clip_weights), g]

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Return RMSProp for one player."""
        return torch.optim.RMSprop(network.parameters(), lr=lr, alpha=self.config.beta2, foreach=self.config.fused)

    @torch.no_grad()
    def clip_weights(self) -> None:
        """Put every parameter of the critic back into [-clip, clip]."""
        parameters: list[Tensor] = list(self.D.parameters())
        torch._foreach_clamp_min_(parameters, -self.config.clip)
        torch._foreach_clamp_max_(parameters, self.config.clip)

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[D(G(z))] - E[D(x)]."""
        real, generated = self.see("d_real", self.D(x, c)), self.see("d_fake", self.D(fake, c))  # scores (B,)
        loss = losses.wasserstein_d_loss(real, generated)
        self.see("w_estimate", -loss)
        return loss

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[D(G(z))]."""
        return losses.wasserstein_g_loss(self.see("d_fake_after", self.D(fake, c)))


# ------------------------------------------------------------------------------------- the paper's networks


PAPER_SOURCE = (
    "models/dcgan.py of the authors' code, https://github.com/martinarjovsky/WassersteinGAN: the port of DCGAN for 64 "
    "px (the paper prints no parameter counts)"
)


def paper() -> dict[str, nn.Module]:
    """Return the two convolutional networks of the experiments, to be counted; the recipes do not train them."""
    return {"G": dcgan.port().generator(), "D": dcgan.port().discriminator()}


# ---------------------------------------------------------------------------------------------- recipes

build = WGAN
_RATES = {"g_lr": 5e-4, "d_lr": 5e-4}  # ten times the paper's: at its own, a critic learns little in these few steps
RECIPES = testbed.recipes(
    "wgan",
    WGANConfig,
    build,
    points=_RATES,
    pictures=_RATES,
    minutes={
        "plane": "about 3 minutes on two cores (estimated)",
        "pictures": "about 3 minutes on two cores (estimated)",
    },
    bands={"digits": "digit-FID at most 2.5 % of uniform noise's, all ten classes (mini set: at most 4 %)"},
    steps=(5_000, 5_000),
)
