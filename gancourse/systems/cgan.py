"""Conditional GANs: Mirza & Osindero 2014, "Conditional generative adversarial nets", https://arxiv.org/abs/1411.1784.

min_G max_D E_{x, c}[log D(x | c)] + E_{z, c}[log(1 - D(G(z | c) | c))]                 (equation 2, with c for y)

The condition c is a class. It enters the generator either beside the noise, as a learned vector ("concat"), or as
scale and shift of every BatchNorm layer ("batchnorm"). It enters the discriminator

- beside the picture, as a learned vector ("concat");
- through an inner product with the features, a(x, c) = ψ(φ(x)) + ⟨v_c, φ(x)⟩ ("projection", Miyato & Koyama 2018,
  https://arxiv.org/abs/1802.05637, equation 3, derived in its section 3);
- not at all, and a second output names the class ("auxiliary", AC-GAN, Odena et al. 2017,
  https://arxiv.org/abs/1610.09585);
- in a second score that judges the match alone ("two-scores").

The first two may also be shown real pictures with a wrong label (Reed et al. 2016, https://arxiv.org/abs/1605.05396,
algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gancourse import losses
from gancourse.datasets.source import Batch
from gancourse.errors import UserError, unknown
from gancourse.layers import ConditionalBatchNorm, LabelEmbedding, check_labels
from gancourse.systems.base import Recipe, check_real, check_whole
from gancourse.systems.gan import ACTIVATIONS, GAN, LOSSES, OUTPUTS, SAMPLES_AT_ONCE, GANConfig, Maxout

G_CONDITIONS = ("batchnorm", "concat")
D_CONDITIONS = ("projection", "concat", "auxiliary", "two-scores")
WRONG_PAIRS = ("none", "mismatched", "resampled")


@dataclass(frozen=True, kw_only=True)
class CGANConfig(GANConfig):
    """Hyper-parameters of the conditional GANs, on top of the plain GAN's.

    Attributes:
        classes: how many classes there are; labels are 0 … classes - 1.
        g_condition: where c enters G, "batchnorm" or "concat".
        d_condition: where c enters D, "projection", "concat", "auxiliary" or "two-scores".
        g_label_dim, d_label_dim: length of the learned vector of a class where it is joined to z or to x.
        d_norm: as in the plain GAN, or "spectral-after-first": every layer of D but the first.
        wrong_pairs: show D real pictures with labels that are "mismatched" (truly wrong) or "resampled" (drawn anew,
            uniformly, and so right by accident once in `classes` times), or with none of these.
        pair_weight: with wrong pairs, the weight of the terms of generated and of wrong pairs; Reed et al. take ½.
        match_weight: weight of the class loss ("auxiliary") or of the match score ("two-scores") in G's loss.
    """

    classes: int = 10
    g_condition: str = "batchnorm"
    d_condition: str = "projection"
    g_label_dim: int = 32
    d_label_dim: int = 32
    wrong_pairs: str = "none"
    pair_weight: float = 0.5
    match_weight: float = 1.0

    def __post_init__(self) -> None:
        check_whole("classes", self.classes, 2, 10_000)
        check_whole("g_label_dim", self.g_label_dim, 1, 4096)
        check_whole("d_label_dim", self.d_label_dim, 1, 4096)
        check_real("pair_weight", self.pair_weight, 0.0, 100.0)
        check_real("match_weight", self.match_weight, 0.0, 100.0)
        for name, options in (("g_condition", G_CONDITIONS), ("d_condition", D_CONDITIONS)):
            value = getattr(self, name)
            if value == "none":
                other = "D cannot ask whether a picture fits" if name[0] == "d" else "G cannot know what is asked"
                raise UserError(
                    f"{name}=none leaves the condition out of one network, and {other}. Choose {', '.join(options)}; "
                    "for a GAN without conditions train a recipe such as digits-mlp."
                )
            if value not in options:
                raise unknown(name, str(value), options)
        if self.d_pieces != 1:
            raise UserError(f"d_pieces={self.d_pieces}: the conditional discriminators have no maxout; leave it at 1.")
        if self.wrong_pairs not in WRONG_PAIRS:
            raise unknown("wrong_pairs", str(self.wrong_pairs), WRONG_PAIRS)
        if self.g_condition == "batchnorm" and self.g_norm != "batch":
            raise UserError("g_condition=batchnorm needs BatchNorm in G: set g_norm=batch, or g_condition=concat.")
        if self.wrong_pairs != "none" and self.d_condition not in ("projection", "concat"):
            raise UserError(
                f"wrong_pairs={self.wrong_pairs} needs a D with one score for a pair, d_condition=projection or "
                f"concat. With d_condition={self.d_condition} set wrong_pairs=none."
            )
        super().__post_init__()


# --------------------------------------------------------------------------------------------- the networks


class Generator(nn.Module):
    """G: noise z (B, latent_dim) and conditions c to samples (B, \\*sample_shape).

    Conditions are labels, int64 (B,), or class weights, float (B, classes).
    """

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        width = config.latent_dim
        self.embed = LabelEmbedding(config.classes, config.g_label_dim) if config.g_condition == "concat" else None
        if self.embed is not None:
            width += config.g_label_dim
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        for hidden in config.g_widths:
            self.linears.append(nn.Linear(width, hidden))
            if config.g_condition == "batchnorm":
                self.norms.append(ConditionalBatchNorm(hidden, config.classes))
            else:
                self.norms.append(nn.BatchNorm1d(hidden) if config.g_norm == "batch" else nn.Identity())
            width = hidden
        self.activation = ACTIVATIONS[config.g_activation]()
        size = int(torch.Size(config.sample_shape).numel())
        self.last = nn.Sequential(
            nn.Linear(width, size), OUTPUTS[config.output](), nn.Unflatten(1, config.sample_shape)
        )

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Return G(z | c)."""
        h = z if self.embed is None else torch.cat([z, self.embed(c)], dim=1)  # (B, latent_dim [+ g_label_dim])
        for linear, norm in zip(self.linears, self.norms, strict=True):
            h = linear(h)  # (B, hidden)
            h = norm(h, c) if isinstance(norm, ConditionalBatchNorm) else norm(h)
            h = self.activation(h)
        return self.last(h)


def _body(config: CGANConfig, extra: int = 0) -> tuple[nn.Sequential, int]:
    """Return D's hidden layers, from flattened samples with `extra` more numbers, and their width."""
    layers: list[nn.Module] = []
    width = int(torch.Size(config.sample_shape).numel()) + extra
    for i, hidden in enumerate(config.d_widths):
        layers += [_normed(nn.Linear(width, hidden), config, first=i == 0), ACTIVATIONS[config.d_activation]()]
        if config.d_dropout:
            layers.append(nn.Dropout(config.d_dropout))
        width = hidden
    return nn.Sequential(*layers), width


def _normed(layer: nn.Module, config: CGANConfig, *, first: bool = False) -> nn.Module:
    wanted = config.d_norm == "spectral" or (config.d_norm == "spectral-after-first" and not first)
    return spectral_norm(layer) if wanted else layer


class ConcatDiscriminator(nn.Module):
    """D: a sample and a learned vector of the class, joined at the entrance, to one logit (B,)."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        self.embed = LabelEmbedding(config.classes, config.d_label_dim)
        self.body, width = _body(config, extra=config.d_label_dim)
        self.logit = _normed(nn.Linear(width, 1), config)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the logits of the pairs (x, c)."""
        return self.logit(self.body(torch.cat([x.flatten(1), self.embed(c)], dim=1))).squeeze(1)


class ProjectionDiscriminator(nn.Module):
    """D: a(x, c) = ψ(φ(x)) + ⟨v_c, φ(x)⟩, logits (B,). The class meets the features, not the pixels."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        self.body, width = _body(config)  # φ
        self.logit = _normed(nn.Linear(width, 1), config)  # ψ
        embed = LabelEmbedding(config.classes, width)  # v
        nn.init.normal_(embed.weight, std=width**-0.5)
        self.embed = _normed(embed, config)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the logits of the pairs (x, c)."""
        phi = self.body(x.flatten(1))  # (B, width)
        return self.logit(phi).squeeze(1) + (self.embed(c) * phi).sum(dim=1)


class AuxiliaryDiscriminator(nn.Module):
    """D: samples to a logit for "real" (B,) and, in a second output, a logit for each class (B, classes)."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        self.body, width = _body(config)
        self.logit = _normed(nn.Linear(width, 1), config)
        self.classes = _normed(nn.Linear(width, config.classes), config)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both outputs for samples x."""
        phi = self.body(x.flatten(1))
        return self.logit(phi).squeeze(1), self.classes(phi)


class TwoScores(NamedTuple):
    """What a discriminator of two scores says of pairs (x, c): logits (B,) for "is real" and for "x fits c"."""

    realism: Tensor
    match: Tensor


class TwoScoreDiscriminator(nn.Module):
    """D: one network looks at the sample, a second at its features and the class: two logits for a pair."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        self.body, width = _body(config)
        self.realism = _normed(nn.Linear(width, 1), config)
        self.embed = LabelEmbedding(config.classes, config.d_label_dim)
        self.match = nn.Sequential(
            _normed(nn.Linear(width + config.d_label_dim, width), config),
            ACTIVATIONS[config.d_activation](),
            _normed(nn.Linear(width, 1), config),
        )

    def forward(self, x: Tensor, c: Tensor) -> TwoScores:
        """Return both logits of the pairs (x, c)."""
        phi = self.body(x.flatten(1))
        match = self.match(torch.cat([phi, self.embed(c)], dim=1)).squeeze(1)
        return TwoScores(self.realism(phi).squeeze(1), match)


DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "projection": ProjectionDiscriminator,
    "concat": ConcatDiscriminator,
    "auxiliary": AuxiliaryDiscriminator,
    "two-scores": TwoScoreDiscriminator,
}
"""``d_condition`` → network."""

# ---------------------------------------------------------------------------------------------- the systems


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

    def __init__(self, config: CGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        if config.wrong_pairs != "none":
            self.reading_names += ("d_wrong",)
        self._checked = False

    def generator(self) -> nn.Module:
        """Return the conditional generator."""
        return Generator(self.config)

    def discriminator(self) -> nn.Module:
        """Return the network that `d_condition` names."""
        return DISCRIMINATORS[self.config.d_condition](self.config)

    def labels(self, n: int) -> Tensor:
        """Return n labels, int64 (n,), every class equally likely."""
        return torch.randint(self.config.classes, (n,), device=self.device)

    def pairs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return real samples, their labels, and fakes for the same labels, cut off from G."""
        if batch.c is None or not self._checked:  # the first batch stands for all: a check waits for the device
            c = check_labels(batch.c, self.config.classes, len(batch.x))
            self._checked = True
        else:
            c = batch.c.long()
        with torch.no_grad():  # G is not updated here
            fake = self.G(self.noise(len(c)), c)  # (B, *sample_shape)
        return batch.x, c, fake

    def d_loss(self, batch: Batch) -> Tensor:
        """Return -E[log D(x, c)] - E[log(1 - D(G(z, c), c))], or with wrong pairs the three-term loss."""
        x, c, fake = self.pairs(batch)
        right, generated = self.D(x, c), self.D(fake, c)  # (B,), (B,)
        self._seen |= {"d_real": right, "d_fake": generated}
        if self.config.wrong_pairs == "none":
            return losses.discriminator_loss(right, generated)
        mismatched = self.config.wrong_pairs == "mismatched"
        other = wrong_labels(c, self.config.classes) if mismatched else self.labels(len(c))
        wrong = self.D(x, other)  # (B,)
        self._seen["d_wrong"] = wrong
        return losses.matching_aware_loss(right, generated, wrong, self.config.pair_weight)

    def g_loss(self, batch: None) -> Tensor:
        """Return -E[log D(G(z, c), c)]: one c, given to both networks."""
        c = self.labels(self.config.batch_size)
        fake_logits = self.D(self.G(self.noise(len(c)), c), c)  # (B,)
        self._seen["d_fake_after"] = fake_logits
        return LOSSES[self.config.loss](fake_logits)

    @torch.no_grad()
    def generate(self, z: Tensor, c: Tensor) -> Tensor:
        """Return samples of the averaged generator for given noise and conditions, on the device.

        Args:
            z: float (n, latent_dim).
            c: labels, int64 (n,), or class weights, float (n, classes).

        Raises:
            UserError: noise or conditions of another shape, or labels out of range.
        """
        if z.ndim != 2 or z.shape[1] != self.config.latent_dim:
            raise UserError(f"Noise should have the shape (n, {self.config.latent_dim}); got {tuple(z.shape)}.")
        if not c.is_floating_point():
            c = check_labels(c, self.config.classes, len(z))
        elif c.shape != (len(z), self.config.classes):
            wanted = f"({len(z)}, {self.config.classes})"
            raise UserError(f"Class weights should have the shape {wanted}; got {tuple(c.shape)}. Labels are integers.")
        network = self.average.module
        parts = zip(z.split(SAMPLES_AT_ONCE), c.split(SAMPLES_AT_ONCE), strict=True)
        return torch.cat([network(some.to(self.device), of.to(self.device)) for some, of in parts])

    def sample_labels(self, n: int, *, seed: int = 0) -> Tensor:
        """Return the labels that :meth:`sample` asks for unless told otherwise: int64 (n,), uniform, on the CPU."""
        check_whole("n", n, 1, 10**7)
        generator = torch.Generator().manual_seed(seed + 2**32)  # a stream of its own beside the noise
        return torch.randint(self.config.classes, (n,), generator=generator)

    def sample(self, n: int, *, seed: int = 0, labels: object = None) -> Tensor:
        """Return n samples of the averaged generator, (n, \\*sample_shape) on the device.

        Args:
            n: how many.
            seed: fixes noise and labels, the same on every device; global random state is untouched.
            labels: the n classes to draw; None asks for those of :meth:`sample_labels`.

        Raises:
            UserError: labels of another type, number or range.
        """
        check_whole("n", n, 1, 10**7)
        c = self.sample_labels(n, seed=seed) if labels is None else check_labels(labels, self.config.classes, n)
        z = torch.randn(n, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))
        return self.generate(z, c)

    def class_sheet(self, columns: int = 10, *, seed: int = 0) -> Tensor:
        """Return one row for each class and `columns` samples in it; the samples of a column share their noise."""
        z = torch.randn(columns, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))
        classes = self.config.classes
        return self.generate(z.repeat(classes, 1), torch.arange(classes).repeat_interleave(columns))


class ACGAN(CGAN):
    """AC-GAN: D judges realism alone, and a second output of the same network names the class.

    Odena et al. 2017, section 3: D maximises L_S + L_C, G maximises L_C - L_S. The logged d_loss and g_loss hold both
    parts; the readings c_real and c_fake are the shares of samples whose class D names right.
    """

    reading_names = ("d_real", "d_fake", "d_fake_after", "c_real", "c_fake")

    def d_loss(self, batch: Batch) -> Tensor:
        """Return the two-term loss without conditions, plus the class losses of real and of generated samples."""
        x, c, fake = self.pairs(batch)
        real_logits, real_classes = self.D(x)
        fake_logits, fake_classes = self.D(fake)
        self._seen |= {"d_real": real_logits, "d_fake": fake_logits}
        self._named = {"c_real": real_classes.argmax(dim=1) == c, "c_fake": fake_classes.argmax(dim=1) == c}
        classes = F.cross_entropy(real_classes, c) + F.cross_entropy(fake_classes, c)
        return losses.discriminator_loss(real_logits, fake_logits) + classes

    def g_loss(self, batch: None) -> Tensor:
        """Return -E[log D(G(z, c))] plus the class loss of the generated samples."""
        c = self.labels(self.config.batch_size)
        logits, classes = self.D(self.G(self.noise(len(c)), c))
        self._seen["d_fake_after"] = logits
        return LOSSES[self.config.loss](logits) + self.config.match_weight * F.cross_entropy(classes, c)

    def readings(self) -> dict[str, float]:
        """Return the means of D as in the plain GAN, and how often it named the class."""
        named = {name: float(right.double().mean()) for name, right in self._named.items()}
        return {name: float(self._seen[name].detach().sigmoid().mean()) for name in self.reading_names[:3]} | named


class TwoScoreCGAN(CGAN):
    """D gives two scores: one says whether a sample is real, the other whether it fits its label.

    The realism score learns from real and generated samples, the match score from right and wrong pairs of real
    samples. Zhang et al. 2017, https://arxiv.org/abs/1710.10916, keep an unconditional and a conditional loss apart in
    the same spirit; their conditional part is shown generated samples as well.
    """

    reading_names = ("d_real", "d_fake", "d_fake_after", "m_right", "m_wrong", "m_fake_after")

    def d_loss(self, batch: Batch) -> Tensor:
        """Return the realism loss (real against generated) plus the match loss (right against wrong label)."""
        x, c, fake = self.pairs(batch)
        right, wrong = self.D(x, c), self.D(x, wrong_labels(c, self.config.classes))
        generated = self.D(fake, c)
        self._seen |= {"d_real": right.realism, "d_fake": generated.realism}
        self._seen |= {"m_right": right.match, "m_wrong": wrong.match}
        return losses.discriminator_loss(right.realism, generated.realism) + losses.discriminator_loss(
            right.match, wrong.match
        )

    def g_loss(self, batch: None) -> Tensor:
        """Return the generator's loss on the realism score plus `match_weight` times that on the match score."""
        c = self.labels(self.config.batch_size)
        scores = self.D(self.G(self.noise(len(c)), c), c)
        self._seen |= {"d_fake_after": scores.realism, "m_fake_after": scores.match}
        loss = LOSSES[self.config.loss]
        return loss(scores.realism) + self.config.match_weight * loss(scores.match)


SYSTEMS: dict[str, type[CGAN]] = {
    "projection": CGAN,
    "concat": CGAN,
    "auxiliary": ACGAN,
    "two-scores": TwoScoreCGAN,
}


def build(config: CGANConfig, device: torch.device) -> CGAN:
    """Return the system that ``config.d_condition`` asks for."""
    return SYSTEMS[config.d_condition](config, device)


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


class PaperNetworks:
    """Both networks of the paper's MNIST experiment, to look at and to count."""

    def __init__(self) -> None:
        self.networks: dict[str, nn.Module] = {"G": PaperGenerator(), "D": PaperDiscriminator()}


def build_paper(config: CGANConfig, device: torch.device) -> PaperNetworks:
    """Return the paper's networks; their sizes are fixed."""
    return PaperNetworks()


PAPER = CGANConfig(
    latent_dim=100,
    g_norm="none",
    g_condition="concat",
    d_condition="concat",
    d_dropout=0.5,
    output="sigmoid",
    batch_size=100,
    averaging=0.0,
)
"""The paper's settings as far as a config holds them; the networks are those of :func:`build_paper`."""
PAPER_SOURCE = "the paper's section 4.1, https://arxiv.org/abs/1411.1784"

# ---------------------------------------------------------------------------------------------- recipes

_DIGITS = CGANConfig(
    batch_size=128,
    latent_dim=64,
    g_widths=(128, 256, 512),
    d_widths=(512, 256),
    d_dropout=0.3,
    wrong_pairs="mismatched",
    steps=30_000,
    log_every=100,
    sample_every=1000,
    checkpoint_every=1000,
)
"""The networks of digits-mlp with a class-conditional BatchNorm in G and a projection in D, shown wrong labels too."""

NOTES = {
    "program 1": replace(
        _DIGITS,
        latent_dim=96,
        batch_size=64,
        g_condition="concat",
        g_label_dim=32,
        wrong_pairs="none",
        g_widths=(256, 512, 1024),
        g_activation="gelu",
        output="sigmoid",
        d_condition="concat",
        d_label_dim=32,
        d_widths=(512, 256, 128, 64, 32),
        d_activation="gelu",
        d_norm="spectral-after-first",
        d_dropout=0.0,
        g_lr=1e-4,
        d_lr=1e-4,
        beta1=0.9,
        averaging=0.0,
    ),
    "program 2": replace(
        _DIGITS,
        latent_dim=100,
        batch_size=100,
        g_condition="concat",
        g_label_dim=10,
        wrong_pairs="none",
        g_widths=(256, 512, 1024),
        g_norm="none",
        g_activation="leaky_relu",
        d_condition="concat",
        d_label_dim=10,
        d_widths=(1024, 512, 256),
        d_dropout=0.4,
        g_lr=1e-4,
        d_lr=1e-4,
        beta1=0.9,
        averaging=0.0,
    ),
}
"""Two small conditional GANs for MNIST as course notes print them, as settings of this system.

Program 1 gives no learning rate (it takes 1e-4 here) and no training loop; its generator ends in a sigmoid although
the data are scaled to [-1, 1]. Program 2 gives everything.
"""

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
    data="ring",
    classes=8,
    sample_shape=(2,),
    latent_dim=2,
    batch_size=256,
    steps=20_000,
    g_condition="concat",
    g_label_dim=16,
    g_widths=(128, 128),
    g_norm="none",
    d_condition="concat",
    d_label_dim=16,
    d_widths=(128, 128),
    output="linear",
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
        name="digits-cgan",
        title="a conditional GAN on handwritten digits: ask for a class",
        system="cgan",
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
        name="digits-cgan-notes",
        title="program 2 of the notes on handwritten digits: it learns its labels late",
        system="cgan",
        config=replace(NOTES["program 2"], steps=30_000),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 5_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 2 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band={"cpu": "at most 30 % of the digits are what was asked for: after 5,000 steps it has hardly begun"},
    ),
    "fashion-cgan": Recipe(
        name="fashion-cgan",
        title="a conditional GAN on Fashion-MNIST: ask for a garment",
        system="cgan",
        config=replace(_DIGITS, data="fashion"),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 10_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores", "gpu": "not measured on a GPU yet"},
        band=dict.fromkeys(
            ("cpu", "gpu"),
            "at least 85 % of the garments are what was asked for (real ones: 92.7 %), diversity at least 0.7",
        ),
    ),
    "ring-cgan": Recipe(
        name="ring-cgan",
        title="a conditional GAN on the ring, shown wrong labels too: the three-term loss",
        system="cgan",
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
