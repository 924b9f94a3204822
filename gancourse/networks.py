"""Fully connected G and D, plain and conditional: the common test bed of many papers.

Every generator of the course is called G(z, c) and every discriminator D(x, c); c may be None. A specification is a
frozen dataclass: its fields say how large, `generator()` and `discriminator()` build.

The condition c is a class. It enters the generator either beside the noise, as a learned vector ("concat"), or as
scale and shift of every BatchNorm layer ("batchnorm"). It enters the discriminator

- beside the picture, as a learned vector ("concat");
- through an inner product with the features, a(x, c) = ψ(φ(x)) + ⟨v_c, φ(x)⟩ ("projection", Miyato & Koyama 2018,
  https://arxiv.org/abs/1802.05637, equation 3, derived in its section 3);
- not at all, and a second output names the class ("auxiliary", AC-GAN, Odena et al. 2017,
  https://arxiv.org/abs/1610.09585);
- in a second score that judges the match alone ("two-scores").
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancourse.errors import UserError, check_real, check_whole, unknown
from gancourse.layers import ConditionalBatchNorm, LabelEmbedding

ACTIVATIONS = {
    "relu": lambda: nn.ReLU(),
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "gelu": lambda: nn.GELU(),
}
OUTPUTS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}
G_CONDITIONS = ("batchnorm", "concat")
D_CONDITIONS = ("projection", "concat", "auxiliary", "two-scores")


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What a system asks of the specification of its networks.

    Attributes:
        sample_shape: shape of one sample, (1, 28, 28) or (2,).
        latent_dim: length of z.
    """

    sample_shape: tuple[int, ...] = (1, 28, 28)
    latent_dim: int = 64

    def __post_init__(self) -> None:
        check_whole("latent_dim", self.latent_dim, 1, 4096)
        if not isinstance(self.sample_shape, tuple) or not self.sample_shape:
            raise UserError(f"sample_shape={self.sample_shape!r} must be a list, for example sample_shape=[1,28,28].")
        for size in self.sample_shape:
            check_whole("a size in sample_shape", size, 1, 4096)

    @property
    def classes(self) -> int:
        """How many classes one can ask for; 0 without conditions."""
        return 0

    @property
    def d_outputs(self) -> tuple[str, ...]:
        """What D returns, by name: a system refuses networks whose D returns something else than it needs."""
        return ("score",)

    @property
    def smallest_batch(self) -> int:
        """The smallest batch that the networks can be trained on."""
        return 1

    @property
    def size(self) -> int:
        """How many numbers one sample has."""
        return int(torch.Size(self.sample_shape).numel())

    def generator(self) -> nn.Module:
        """Return a new G."""
        raise NotImplementedError

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class FullyConnected(Networks):
    """What both fully connected pairs share.

    Attributes:
        g_widths, d_widths: hidden layer widths of G and D, from input to output.
        g_norm: "batch" or "none", after every hidden layer of G.
        d_norm: "spectral" (every layer of D, Miyato et al. 2018), "spectral-after-first" (all but the first) or "none".
        g_activation, d_activation: "relu", "leaky_relu" (slope 0.2) or "gelu".
        d_dropout: share of D's hidden units dropped in training.
        output: last activation of G; its range must be the data's.
    """

    g_widths: tuple[int, ...] = (128, 256, 512)
    d_widths: tuple[int, ...] = (512, 256)
    g_norm: str = "batch"
    d_norm: str = "none"
    g_activation: str = "relu"
    d_activation: str = "leaky_relu"
    d_dropout: float = 0.0
    output: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("g_widths", "d_widths"):
            widths = getattr(self, name)
            if not isinstance(widths, tuple) or not widths:
                raise UserError(f"{name}={widths!r} must be a list of layer widths, for example {name}=[256,512].")
            for width in widths:
                check_whole(f"a width in {name}", width, 1, 16384)
        check_real("d_dropout", self.d_dropout, 0.0, 1.0)
        for name, options in (
            ("g_norm", ("batch", "none")),
            ("d_norm", ("spectral", "spectral-after-first", "none")),
            ("g_activation", ACTIVATIONS),
            ("d_activation", ACTIVATIONS),
            ("output", OUTPUTS),
        ):
            if getattr(self, name) not in options:
                raise unknown(name, str(getattr(self, name)), options)

    @property
    def smallest_batch(self) -> int:
        """2 with BatchNorm in G."""
        return 2 if self.g_norm == "batch" else 1

    def normed(self, layer: nn.Module, *, first: bool = False) -> nn.Module:
        """Return a layer of D with the normalisation that `d_norm` asks for."""
        wanted = self.d_norm == "spectral" or (self.d_norm == "spectral-after-first" and not first)
        return spectral_norm(layer) if wanted else layer


# --------------------------------------------------------------------------------------------- without conditions


@dataclass(frozen=True, kw_only=True)
class MLP(FullyConnected):
    """The plain pair, as in the MNIST experiment of Goodfellow et al. 2014.

    Attributes:
        d_pieces: above 1, D's hidden units are maxout units of so many pieces (Goodfellow et al. 2013).
    """

    d_pieces: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("d_pieces", self.d_pieces, 1, 16)

    def generator(self) -> nn.Module:
        """Return a new G."""
        return Generator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return Discriminator(self)


class Maxout(nn.Module):
    """The largest of `pieces` affine maps for each of `out_features` units (Goodfellow et al. 2013)."""

    def __init__(self, in_features: int, out_features: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(dim=2)


class Generator(nn.Module):
    """G: noise z of shape (B, latent_dim) to samples (B, \\*sample_shape), images in [-1, 1] under tanh."""

    def __init__(self, spec: MLP) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = spec.latent_dim
        for hidden in spec.g_widths:
            layers.append(nn.Linear(width, hidden))
            if spec.g_norm == "batch":
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(ACTIVATIONS[spec.g_activation]())
            width = hidden
        layers += [nn.Linear(width, spec.size), OUTPUTS[spec.output](), nn.Unflatten(1, spec.sample_shape)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, c: None = None) -> Tensor:
        """Return G(z)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """D: samples (B, \\*sample_shape) to scores (B,), its raw output."""

    def __init__(self, spec: MLP) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = spec.size
        for i, hidden in enumerate(spec.d_widths):
            if spec.d_pieces > 1:
                layers[f"maxout{i}"] = Maxout(width, hidden, spec.d_pieces)
            else:
                layers[f"linear{i}"] = nn.Linear(width, hidden)
                layers[f"activation{i}"] = ACTIVATIONS[spec.d_activation]()
            if spec.d_dropout:
                layers[f"dropout{i}"] = nn.Dropout(spec.d_dropout)
            width = hidden
        layers["logit"] = nn.Linear(width, 1)
        linears = [m for top in layers.values() for m in top.modules() if isinstance(m, nn.Linear)]
        for i, layer in enumerate(linears):
            spec.normed(layer, first=i == 0)
        self.layers = nn.Sequential(layers)

    def forward(self, x: Tensor, c: None = None) -> Tensor:
        """Return the scores of x."""
        return self.layers(x).squeeze(1)


# ------------------------------------------------------------------------------------------------ with conditions


@dataclass(frozen=True, kw_only=True)
class ConditionalMLP(FullyConnected):
    """The pair that is told a class.

    Attributes:
        classes: how many classes there are; labels are 0 … classes - 1.
        g_condition: where c enters G, "batchnorm" or "concat".
        d_condition: where c enters D, "projection", "concat", "auxiliary" or "two-scores".
        g_label_dim, d_label_dim: length of the learned vector of a class where it is joined to z or to x.
    """

    classes: int = 10  # a field here, a constant in Networks
    g_condition: str = "batchnorm"
    d_condition: str = "projection"
    g_label_dim: int = 32
    d_label_dim: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("classes", self.classes, 2, 10_000)
        check_whole("g_label_dim", self.g_label_dim, 1, 4096)
        check_whole("d_label_dim", self.d_label_dim, 1, 4096)
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
        if self.g_condition == "batchnorm" and self.g_norm != "batch":
            raise UserError("g_condition=batchnorm needs BatchNorm in G: set g_norm=batch, or g_condition=concat.")

    @property
    def d_outputs(self) -> tuple[str, ...]:
        """What D returns, by name."""
        return {"auxiliary": ("score", "classes"), "two-scores": ("realism", "match")}.get(self.d_condition, ("score",))

    def generator(self) -> nn.Module:
        """Return a new G."""
        return ConditionalGenerator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D, the one that `d_condition` names."""
        return DISCRIMINATORS[self.d_condition](self)


class ConditionalGenerator(nn.Module):
    """G: noise z (B, latent_dim) and conditions c to samples (B, \\*sample_shape).

    Conditions are labels, int64 (B,), or class weights, float (B, classes).
    """

    def __init__(self, spec: ConditionalMLP) -> None:
        super().__init__()
        width = spec.latent_dim
        self.embed = LabelEmbedding(spec.classes, spec.g_label_dim) if spec.g_condition == "concat" else None
        if self.embed is not None:
            width += spec.g_label_dim
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        for hidden in spec.g_widths:
            self.linears.append(nn.Linear(width, hidden))
            if spec.g_condition == "batchnorm":
                self.norms.append(ConditionalBatchNorm(hidden, spec.classes))
            else:
                self.norms.append(nn.BatchNorm1d(hidden) if spec.g_norm == "batch" else nn.Identity())
            width = hidden
        self.activation = ACTIVATIONS[spec.g_activation]()
        self.last = nn.Sequential(
            nn.Linear(width, spec.size), OUTPUTS[spec.output](), nn.Unflatten(1, spec.sample_shape)
        )

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Return G(z | c)."""
        h = z if self.embed is None else torch.cat([z, self.embed(c)], dim=1)  # (B, latent_dim [+ g_label_dim])
        for linear, norm in zip(self.linears, self.norms, strict=True):
            h = linear(h)  # (B, hidden)
            h = norm(h, c) if isinstance(norm, ConditionalBatchNorm) else norm(h)
            h = self.activation(h)
        return self.last(h)


def _body(spec: ConditionalMLP, extra: int = 0) -> tuple[nn.Sequential, int]:
    """Return D's hidden layers, from flattened samples with `extra` more numbers, and their width."""
    layers: list[nn.Module] = []
    width = spec.size + extra
    for i, hidden in enumerate(spec.d_widths):
        layers += [spec.normed(nn.Linear(width, hidden), first=i == 0), ACTIVATIONS[spec.d_activation]()]
        if spec.d_dropout:
            layers.append(nn.Dropout(spec.d_dropout))
        width = hidden
    return nn.Sequential(*layers), width


class ConcatDiscriminator(nn.Module):
    """D: a sample and a learned vector of the class, joined at the entrance, to one score (B,)."""

    def __init__(self, spec: ConditionalMLP) -> None:
        super().__init__()
        self.embed = LabelEmbedding(spec.classes, spec.d_label_dim)
        self.body, width = _body(spec, extra=spec.d_label_dim)
        self.logit = spec.normed(nn.Linear(width, 1))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the scores of the pairs (x, c)."""
        return self.logit(self.body(torch.cat([x.flatten(1), self.embed(c)], dim=1))).squeeze(1)


class ProjectionDiscriminator(nn.Module):
    """D: a(x, c) = ψ(φ(x)) + ⟨v_c, φ(x)⟩, scores (B,). The class meets the features, not the pixels."""

    def __init__(self, spec: ConditionalMLP) -> None:
        super().__init__()
        self.body, width = _body(spec)  # φ
        self.logit = spec.normed(nn.Linear(width, 1))  # ψ
        embed = LabelEmbedding(spec.classes, width)  # v
        nn.init.normal_(embed.weight, std=width**-0.5)
        self.embed = spec.normed(embed)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the scores of the pairs (x, c)."""
        phi = self.body(x.flatten(1))  # (B, width)
        return self.logit(phi).squeeze(1) + (self.embed(c) * phi).sum(dim=1)


class ScoreAndClasses(NamedTuple):
    """What a discriminator with an auxiliary classifier says of samples: a score (B,) and class logits (B, classes)."""

    score: Tensor
    classes: Tensor


class AuxiliaryDiscriminator(nn.Module):
    """D: samples to a score for "real" (B,) and, in a second output, a logit for each class (B, classes)."""

    def __init__(self, spec: ConditionalMLP) -> None:
        super().__init__()
        self.body, width = _body(spec)
        self.logit = spec.normed(nn.Linear(width, 1))
        self.classes = spec.normed(nn.Linear(width, spec.classes))

    def forward(self, x: Tensor, c: Tensor | None = None) -> ScoreAndClasses:
        """Return both outputs for samples x; c is not looked at."""
        phi = self.body(x.flatten(1))
        return ScoreAndClasses(self.logit(phi).squeeze(1), self.classes(phi))


class TwoScores(NamedTuple):
    """What a discriminator of two scores says of pairs (x, c): logits (B,) for "is real" and for "x fits c"."""

    realism: Tensor
    match: Tensor


class TwoScoreDiscriminator(nn.Module):
    """D: one network looks at the sample, a second at its features and the class: two scores for a pair."""

    def __init__(self, spec: ConditionalMLP) -> None:
        super().__init__()
        self.body, width = _body(spec)
        self.realism = spec.normed(nn.Linear(width, 1))
        self.embed = LabelEmbedding(spec.classes, spec.d_label_dim)
        self.match = nn.Sequential(
            spec.normed(nn.Linear(width + spec.d_label_dim, width)),
            ACTIVATIONS[spec.d_activation](),
            spec.normed(nn.Linear(width, 1)),
        )

    def forward(self, x: Tensor, c: Tensor) -> TwoScores:
        """Return both scores of the pairs (x, c)."""
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
