"""R3GAN's objective: Huang et al. 2024, "The GAN is dead; long live the GAN!", https://arxiv.org/abs/2501.05441.

min_D E[f(-(D(x) - D(G(z))))] + γ₁/2 E[‖∇D(x)‖²] + γ₂/2 E[‖∇D(G(z))‖²]
min_G E[f(-(D(G(z)) - D(x)))],   f(t) = log(1 + eᵗ)                                   (section 2)

Each sample is scored relative to one of the other kind, and two penalties centred at zero, R1 at data and R2 at fakes
(Mescheder et al. 2018, https://arxiv.org/abs/1801.04406), keep D smooth. With ``loss="nonsaturating"`` the same
penalties stand beside the cross-entropies: ``r2_gamma=0`` is then the GAN with R1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancourse import losses, penalties
from gancourse.datasets.source import Batch
from gancourse.errors import UserError, check_real, check_whole, unknown
from gancourse.systems import gan, testbed
from gancourse.systems.base import Phase
from gancourse.systems.configs import Adversarial

LOSSES = ("relativistic", "nonsaturating")


@dataclass(frozen=True, kw_only=True)
class R3GANConfig(Adversarial):
    """The relativistic game with penalties at data and at fakes.

    Attributes:
        r1_gamma, r2_gamma: γ₁ and γ₂, the weights of half the squared slope at data and at fakes.
        final_gamma: share of both that is left at the last step; they fall by the same factor in every step.
        penalty_every: n: the penalties come at every n-th step only, n times as heavy (lazy, Karras et al. 2020).
        loss: "relativistic", or "nonsaturating" for the cross-entropies with the same penalties.
    """

    r1_gamma: float = 0.1
    r2_gamma: float = 0.1
    final_gamma: float = 1.0
    penalty_every: int = 1
    loss: str = "relativistic"
    g_lr: float = 1e-3
    d_lr: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("r1_gamma", self.r1_gamma, 0.0, 1e6)
        check_real("r2_gamma", self.r2_gamma, 0.0, 1e6)
        check_real("final_gamma", self.final_gamma, 1e-9, 1.0 + 1e-9)
        check_whole("penalty_every", self.penalty_every, 1, 10_000)
        if self.loss not in LOSSES:
            raise unknown("loss", str(self.loss), LOSSES)
        if not self.r1_gamma + self.r2_gamma:
            raise UserError("r1_gamma=0 and r2_gamma=0 leave no penalty. Give one of them, or take a plain GAN.")


class R3GAN(gan.GAN):
    """A game whose discriminator compares data and fakes in pairs, and pays for its slope at both.

    The log notes mean scores, which have no zero of their own, and both penalties before γ.
    """

    config: R3GANConfig
    notes = ("d_real", "d_fake", "d_fake_after", "r1", "r2")

    def __init__(self, config: R3GANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        penalties.check_samples_apart(self.D, "A penalty on the slope")
        d, g = self.phases
        self.phases = [d, Phase("g", self.g_pair, g.optimizer)]  # G's loss needs data too
        self.weights: dict[str, float] = {}

    def start_step(self, step: int) -> None:
        """Let the penalties weigh what they weigh at this step: 0 between two lazy ones."""
        super().start_step(step)
        due = self.config.penalty_every * (step % self.config.penalty_every == 0)
        left = self.config.final_gamma ** (step / self.config.steps)
        self.weights = {"r1": due * left * self.config.r1_gamma, "r2": due * left * self.config.r2_gamma}

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[f(D(G(z)) - D(x))] + γ₁ R1 + γ₂ R2."""
        real, generated = self.see("d_real", self.D(x, c)), self.see("d_fake", self.D(fake, c))  # scores (B,)
        if self.config.loss == "relativistic":
            loss = losses.relativistic_loss(real, generated)
        else:
            loss = losses.discriminator_loss(real, generated)
        for name, at in (("r1", x), ("r2", fake)):
            if weight := self.weights[name]:
                penalty = penalties.zero_centred_penalty(lambda inputs: self.D(inputs, c), at)
                loss = loss + weight * self.see(name, penalty)
        return loss

    def g_pair(self, batch: Batch) -> Tensor:
        """Return E[f(D(x) - D(G(z)))] on as many fakes as data, made for the same conditions."""
        c = self.given(batch)
        fake = self.D(self.G(self.noise(self.count(batch.x)), c), c)  # (B,)
        self.see("d_fake_after", fake)
        if self.config.loss == "relativistic":
            return losses.relativistic_loss(fake, self.D(batch.x, c))
        return losses.nonsaturating_loss(fake)


# ---------------------------------------------------------------------------------------------- recipes

build = R3GAN
PAPER_SOURCE = "none"


def paper() -> dict[str, nn.Module]:
    """Refuse: the paper's networks are not built here."""
    raise UserError(
        "The paper's own networks, residual ones with grouped convolutions, are not built here: the course takes "
        "R3GAN's objective. `gancourse describe sngan --paper` has residual networks."
    )


RECIPES = testbed.recipes(
    "r3gan",
    R3GANConfig,
    build,
    points={"final_gamma": 0.02},
    pictures={"r1_gamma": 1.0, "r2_gamma": 1.0},
    minutes={
        "plane": "about 2 minutes on two cores (estimated)",
        "pictures": "about 2 minutes on two cores (estimated)",
    },
    bands={
        "ring": "all eight modes, at least 95 % of the points of high quality",
        "grid": "at least 24 of 25 modes, at least 60 % of the points of high quality (of five seeds three above 93 %)",
        "digits": "digit-FID at most 1.5 % of uniform noise's, all ten classes (mini set: at most 4 %)",
    },
)
