"""The first GAN: Goodfellow et al. 2014, "Generative adversarial networks", https://arxiv.org/abs/1406.2661.

min_G max_D V(D, G) = E_{x ~ p_data}[log D(x)] + E_{z ~ p_z}[log(1 - D(G(z)))]        (equation 1)

Here D ends in a logit a, with D(x) = σ(a).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancourse import losses
from gancourse.datasets.source import Batch
from gancourse.errors import unknown
from gancourse.networks import MLP
from gancourse.systems.base import Average, LatentSystem, Phase
from gancourse.systems.configs import Adversarial, Recipe, change

LOSSES = {"nonsaturating": losses.nonsaturating_loss, "minimax": losses.minimax_loss}


@dataclass(frozen=True, kw_only=True)
class GANConfig(Adversarial):
    """The game of 2014.

    Attributes:
        loss: the generator's, "nonsaturating" or "minimax".
    """

    loss: str = "nonsaturating"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise unknown("loss", str(self.loss), LOSSES)


class GAN(LatentSystem):
    """Algorithm 1 of the paper as two phases: k updates of D, then one of G.

    Another objective overrides `d_loss` and `g_loss`; other networks are another specification in the config.
    """

    config: Adversarial
    notes: tuple[str, ...] = ("d_real", "d_fake", "d_fake_after")

    def __init__(self, config: Adversarial, device: torch.device) -> None:
        super().__init__(config, device)
        self.average = Average(self.G, config.averaging)
        self.phases = [
            Phase("d", self.d_phase, self.optimizer(self.D, config.d_lr), repeat=config.k),
            Phase("g", self.g_phase, self.optimizer(self.G, config.g_lr), uses_data=False),
        ]

    def start_step(self, step: int) -> None:
        """Let both rates fall, if the config asks for it."""
        super().start_step(step)
        if self.config.lr_decay_from < 1:
            for phase, lr in zip(self.phases, (self.config.d_lr, self.config.g_lr), strict=True):
                for group in phase.optimizer.param_groups:
                    group["lr"] = lr * self.config.rate(step)

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Return Adam for one player, with the config's betas."""
        betas = (self.config.beta1, self.config.beta2)
        how = {"fused": self.device.type != "mps"} if self.config.fused else {"foreach": False}
        return torch.optim.Adam(network.parameters(), lr=lr, betas=betas, **how)

    def d_phase(self, batch: Batch) -> Tensor:
        """Return D's loss on a batch and on as many fakes, made for the same conditions."""
        c = self.given(batch)
        with torch.no_grad():  # G is not updated here
            fake = self.G(self.noise(self.count(batch.x)), c)  # (B, *sample_shape)
        return self.d_loss(batch.x, fake, c)

    def g_phase(self, batch: None) -> Tensor:
        """Return G's loss on a batch of fakes: one c, given to both networks."""
        c = self.conditions(self.config.batch_size)
        return self.g_loss(self.G(self.noise(self.config.batch_size), c), c)

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[log D(x)] - E[log(1 - D(G(z)))]."""
        real_logits, fake_logits = self.judge(x, fake, c)  # (B,), (B,)
        self.see("d_real", real_logits.sigmoid())
        self.see("d_fake", fake_logits.sigmoid())
        return losses.discriminator_loss(real_logits, fake_logits)

    def judge(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return D's output for data and for fakes, each seen as a batch of its own."""
        return self.D(x, c), self.D(fake, c)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[log D(G(z))], or E[log(1 - D(G(z)))] when the config asks for minimax."""
        fake_logits = self.D(fake, c)  # (B,)
        self.see("d_fake_after", fake_logits.sigmoid())
        return LOSSES[self.config.loss](fake_logits)


# ---------------------------------------------------------------------------------------------- recipes

build = GAN
PAPER_SOURCE = "the authors' mnist.yaml, https://github.com/goodfeli/adversarial (trained there with SGD and momentum)"


def paper() -> dict[str, nn.Module]:
    """Return the networks of the 2014 paper's MNIST experiment: G 2,503,984 and D 1,231,441 parameters."""
    sizes = {"latent_dim": 100, "g_widths": (1200, 1200), "d_widths": (240, 240), "d_pieces": 5, "d_dropout": 0.5}
    spec = MLP(**sizes, g_norm="none", output="sigmoid")  # type: ignore[arg-type]
    return {"G": spec.generator(), "D": spec.discriminator()}


_PLANE = GANConfig(
    networks=MLP(
        sample_shape=(2,),
        latent_dim=2,
        g_widths=(400, 400, 400, 400),
        d_widths=(200, 200, 200),
        d_pieces=5,
        output="linear",
    ),
    data="ring",
    batch_size=100,
    steps=400_000,
    g_lr=1e-4,
    d_lr=1e-4,
    beta1=0.8,
    log_every=100,
    sample_every=1000,
    checkpoint_every=1000,
)
"""Networks and optimiser of PacGAN's code, https://github.com/fjxmlzn/PacGAN: 400 epochs of 100,000 points."""

_SMOKE = {
    "steps": 60,
    "batch_size": 32,
    "g_widths": (32, 32),
    "d_widths": (32, 32),
    "log_every": 10,
    "sample_every": 20,
    "checkpoint_every": 10,
}

_DIGITS = GANConfig(
    networks=MLP(latent_dim=64, g_widths=(128, 256, 512), d_widths=(512, 256), d_dropout=0.3),
    batch_size=128,
    steps=30_000,
    log_every=100,
    sample_every=1000,
    checkpoint_every=1000,
)


def _plane(data: str) -> Recipe:
    return Recipe(
        config=change(_PLANE, data=data),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 10_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores"},
    )


RECIPES = {
    "ring-gan": _plane("ring"),
    "grid-gan": _plane("grid"),
    "digits-mlp": Recipe(
        config=_DIGITS,
        build=build,
        profiles={
            "smoke": {**_SMOKE, "g_widths": (32, 64), "d_widths": (64, 32), "checkpoint_every": 20},
            "cpu": {"steps": 10_000},
            "gpu": {},
        },
        minutes={"smoke": "a few seconds", "cpu": "about 2 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={
            "cpu": "digit-FID at most 2 % of uniform noise's, all ten classes (mini set: at most 3 %)",
            "gpu": "digit-FID at most 1 % of uniform noise's, all ten classes, label KL at most 0.05 nats",
        },
    ),
}
