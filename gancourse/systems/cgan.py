"""Conditional GANs: Mirza & Osindero 2014, "Conditional generative adversarial nets", https://arxiv.org/abs/1411.1784.

min_G max_D E_{x, c}[log D(x | c)] + E_{z, c}[log(1 - D(G(z | c) | c))]                 (equation 2, with c for y)

The condition c is a class. Where it enters the networks is their specification's business
(:class:`gancourse.networks.ConditionalMLP`); any objective may be played on them. Here are the games that need a
condition: D may be shown real pictures with a wrong label (Reed et al. 2016, https://arxiv.org/abs/1605.05396,
algorithm 1); it may name the class in a second output (AC-GAN, Odena et al. 2017, https://arxiv.org/abs/1610.09585);
or it may give a second score that judges the match alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import losses
from gancourse.errors import UserError, check_real, unknown
from gancourse.networks import ConditionalMLP, Maxout
from gancourse.systems.configs import Recipe, change
from gancourse.systems.gan import GAN, LOSSES, GANConfig
from gancourse.systems.notes import NOTES

WRONG_PAIRS = ("none", "mismatched", "resampled")


@dataclass(frozen=True, kw_only=True)
class CGANConfig(GANConfig):
    """What the games with a condition add to the plain GAN's.

    Attributes:
        wrong_pairs: show D real pictures with labels that are "mismatched" (truly wrong) or "resampled" (drawn anew,
            uniformly, and so right by accident once in `classes` times), or with none of these.
        pair_weight: with wrong pairs, the weight of the terms of generated and of wrong pairs; Reed et al. take ½.
        match_weight: weight of the class loss ("auxiliary") or of the match score ("two-scores") in G's loss.
    """

    wrong_pairs: str = "none"
    pair_weight: float = 0.5
    match_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("pair_weight", self.pair_weight, 0.0, 100.0)
        check_real("match_weight", self.match_weight, 0.0, 100.0)
        if self.wrong_pairs not in WRONG_PAIRS:
            raise unknown("wrong_pairs", str(self.wrong_pairs), WRONG_PAIRS)
        if self.wrong_pairs != "none" and self.networks.d_outputs != CGAN.d_outputs:
            raise UserError(
                f"wrong_pairs={self.wrong_pairs} needs a D with one score for a pair, d_condition=projection or "
                f"concat; this one returns {' and '.join(self.networks.d_outputs)}. Set wrong_pairs=none."
            )


def wrong_labels(c: Tensor, classes: int) -> Tensor:
    """Return for every label another one, uniform over the other classes - 1. Shape and dtype of c.

    A label drawn anew would be the old one once in `classes` times. Here c moves by 1 … classes - 1 places, round
    the circle of classes.
    """
    if classes < 2:
        raise UserError("A wrong label needs at least two classes.")
    return (c + torch.randint_like(c, 1, classes)) % classes


class CGAN(GAN):
    """A conditional GAN with one score for a pair of sample and label, and the phases of the plain GAN.

    `wrong_pairs` adds the third term of Reed et al. 2016: real samples with wrong labels count as fakes.
    """

    config: CGANConfig
    conditional = True

    def __init__(self, config: CGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        if config.wrong_pairs != "none":
            self.notes += ("d_wrong",)

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[log D(x, c)] - E[log(1 - D(G(z, c), c))], or with wrong pairs the three-term loss."""
        if self.config.wrong_pairs == "none":
            return super().d_loss(x, fake, c)
        assert c is not None
        right, generated = self.D(x, c), self.D(fake, c)  # (B,), (B,)
        mismatched = self.config.wrong_pairs == "mismatched"
        other = wrong_labels(c, self.spec.classes) if mismatched else self.conditions(len(c))
        wrong = self.D(x, other)  # (B,)
        for name, logits in (("d_real", right), ("d_fake", generated), ("d_wrong", wrong)):
            self.see(name, logits.sigmoid())
        return losses.matching_aware_loss(right, generated, wrong, self.config.pair_weight)


class ACGAN(GAN):
    """AC-GAN: D judges realism alone, and a second output of the same network names the class.

    Odena et al. 2017, section 3: D maximises L_S + L_C, G maximises L_C - L_S. The logged d_loss and g_loss hold both
    parts; the notes c_real and c_fake are the shares of samples whose class D names right.
    """

    config: CGANConfig
    conditional = True
    d_outputs = ("score", "classes")
    notes = ("d_real", "d_fake", "d_fake_after", "c_real", "c_fake")

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the two-term loss without conditions, plus the class losses of real and of generated samples."""
        assert c is not None
        real, generated = self.D(x, c), self.D(fake, c)
        self.see("d_real", real.score.sigmoid())
        self.see("d_fake", generated.score.sigmoid())
        self.see("c_real", real.classes.argmax(dim=1) == c)
        self.see("c_fake", generated.classes.argmax(dim=1) == c)
        classes = F.cross_entropy(real.classes, c) + F.cross_entropy(generated.classes, c)
        return losses.discriminator_loss(real.score, generated.score) + classes

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[log D(G(z, c))] plus the class loss of the generated samples."""
        assert c is not None
        judged = self.D(fake, c)
        self.see("d_fake_after", judged.score.sigmoid())
        named = F.cross_entropy(judged.classes, c)
        return LOSSES[self.config.loss](judged.score) + self.config.match_weight * named


class TwoScoreCGAN(GAN):
    """D gives two scores: one says whether a sample is real, the other whether it fits its label.

    The realism score learns from real and generated samples, the match score from right and wrong pairs of real
    samples. Zhang et al. 2017, https://arxiv.org/abs/1710.10916, keep an unconditional and a conditional loss apart in
    the same spirit; their conditional part is shown generated samples as well.
    """

    config: CGANConfig
    conditional = True
    d_outputs = ("realism", "match")
    notes = ("d_real", "d_fake", "d_fake_after", "m_right", "m_wrong", "m_fake_after")

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the realism loss (real against generated) plus the match loss (right against wrong label)."""
        assert c is not None
        right, wrong = self.D(x, c), self.D(x, wrong_labels(c, self.spec.classes))
        generated = self.D(fake, c)
        self.see("d_real", right.realism.sigmoid())
        self.see("d_fake", generated.realism.sigmoid())
        self.see("m_right", right.match.sigmoid())
        self.see("m_wrong", wrong.match.sigmoid())
        realism = losses.discriminator_loss(right.realism, generated.realism)
        return realism + losses.discriminator_loss(right.match, wrong.match)

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the generator's loss on the realism score plus `match_weight` times that on the match score."""
        judged = self.D(fake, c)
        self.see("d_fake_after", judged.realism.sigmoid())
        self.see("m_fake_after", judged.match.sigmoid())
        loss = LOSSES[self.config.loss]
        return loss(judged.realism) + self.config.match_weight * loss(judged.match)


SYSTEMS: dict[tuple[str, ...], type[GAN]] = {system.d_outputs: system for system in (CGAN, ACGAN, TwoScoreCGAN)}
"""What D returns → the game that is played with it."""


def build(config: CGANConfig, device: torch.device) -> GAN:
    """Return the game for what the networks' D returns."""
    return SYSTEMS.get(config.networks.d_outputs, CGAN)(config, device)


# ------------------------------------------------------------------------------------- the paper's networks


class PaperGenerator(nn.Module):
    """The paper's G for MNIST: z and c have a hidden layer each and meet in a third. Labels as one-hot vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.of_z, self.of_c = nn.Linear(100, 200), nn.Linear(10, 1000)
        self.joint, self.last = nn.Linear(1200, 1200), nn.Linear(1200, 784)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Map z (B, 100), uniform in the unit cube, and one-hot c (B, 10) to images (B, 1, 28, 28) in [0, 1]."""
        h = torch.cat([self.of_z(z).relu(), self.of_c(c).relu()], dim=1)
        return self.last(self.joint(h).relu()).sigmoid().unflatten(1, (1, 28, 28))


class PaperDiscriminator(nn.Module):
    """The paper's D for MNIST: maxout layers, one of 240 units for x, one of 50 for c, a joint one of 240."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x, self.of_c = Maxout(784, 240, 5), Maxout(10, 50, 5)
        self.joint, self.logit = Maxout(290, 240, 4), nn.Linear(240, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map images (B, 1, 28, 28) and one-hot c (B, 10) to logits (B,)."""
        h = torch.cat([self.of_x(x.flatten(1)), self.of_c(c)], dim=1)
        return self.logit(self.joint(h)).squeeze(1)


PAPER_SOURCE = "the paper's section 4.1, https://arxiv.org/abs/1411.1784"


def paper() -> dict[str, nn.Module]:
    """Return both networks of the paper's MNIST experiment, to look at and to count."""
    return {"G": PaperGenerator(), "D": PaperDiscriminator()}


# ---------------------------------------------------------------------------------------------- recipes

_DIGITS = CGANConfig(
    networks=ConditionalMLP(latent_dim=64, g_widths=(128, 256, 512), d_widths=(512, 256), d_dropout=0.3),
    batch_size=128,
    wrong_pairs="mismatched",
    steps=30_000,
    log_every=100,
    sample_every=1000,
    checkpoint_every=1000,
)
"""The networks of digits-mlp with a class-conditional BatchNorm in G and a projection in D, shown wrong labels too."""

_SMOKE = {
    "steps": 60,
    "batch_size": 32,
    "g_widths": (32, 64),
    "d_widths": (64, 32),
    "log_every": 10,
    "sample_every": 20,
    "checkpoint_every": 20,
}

_RING = CGANConfig(
    networks=ConditionalMLP(
        classes=8,
        sample_shape=(2,),
        latent_dim=2,
        g_condition="concat",
        g_label_dim=16,
        g_widths=(128, 128),
        g_norm="none",
        d_condition="concat",
        d_label_dim=16,
        d_widths=(128, 128),
        output="linear",
    ),
    data="ring",
    batch_size=256,
    steps=20_000,
    wrong_pairs="mismatched",
    g_lr=1e-3,
    d_lr=1e-3,
    beta1=0.5,
    log_every=50,
    sample_every=1000,
    checkpoint_every=1000,
)
"""A small conditional GAN on the ring whose modes are the classes, with the three-term loss."""

RECIPES = {
    "digits-cgan": Recipe(
        config=_DIGITS,
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 10_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={
            "cpu": "at least 97 % of the digits are what was asked for, diversity at least 80 % of the data's",
            "gpu": "at least 98.5 % of the digits are what was asked for, diversity at least 80 % of the data's",
        },
    ),
    "digits-cgan-notes": Recipe(
        config=change(_DIGITS, **NOTES["digits-cgan"]["program 2"]),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 5_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 2 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={"cpu": "at most 30 % of the digits are what was asked for: after 5,000 steps it has hardly begun"},
    ),
    "fashion-cgan": Recipe(
        config=change(_DIGITS, data="fashion"),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 10_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band=dict.fromkeys(
            ("cpu", "gpu"),
            "at least 85 % of the garments are what was asked for (real ones: 92.7 %), diversity at least 0.7",
        ),
    ),
    "ring-cgan": Recipe(
        config=_RING,
        build=build,
        profiles={"smoke": {**_SMOKE, "g_widths": (32, 32)}, "cpu": {"steps": 4_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 1 minute on two cores", "gpu": "not measured on a GPU yet"},
        band=dict.fromkeys(
            ("cpu", "gpu"),
            "all eight modes, 99 % of the points in the mode asked for, D on right pairs within 0.03 of ⅔",
        ),
    ),
}
