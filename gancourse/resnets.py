"""Residual G and D for pictures of 32 px: Gulrajani et al. 2017, appendix C, and Miyato et al. 2018, table 4.

With ``d_norm="none"`` they are WGAN-GP's, with "spectral" SNGAN's. Written with a sum over the last feature maps, as in
SNGAN (WGAN-GP's code takes the mean: a factor that the last layer can learn).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gancourse.errors import check_whole, unknown
from gancourse.layers import ConditionalBatchNorm, LabelEmbedding
from gancourse.networks import Networks

SIZE = 32


@dataclass(frozen=True, kw_only=True)
class ResNet32(Networks):
    """Three residual blocks that double the size, and four that look at it.

    Attributes:
        sample_shape: (channels, 32, 32).
        g_width, d_width: feature maps of G and of D.
        d_norm: "spectral" for every layer of D, or "none".
    """

    sample_shape: tuple[int, ...] = (3, SIZE, SIZE)
    latent_dim: int = 128
    g_width: int = 256
    d_width: int = 128
    d_norm: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("g_width", self.g_width, 1, 4096)
        check_whole("d_width", self.d_width, 1, 4096)
        if len(self.sample_shape) != 3 or self.sample_shape[1:] != (SIZE, SIZE):
            raise unknown("sample_shape for networks of 32 px", str(self.sample_shape), ["[3,32,32]", "[1,32,32]"])
        if self.d_norm not in ("spectral", "none"):
            raise unknown("d_norm", str(self.d_norm), ("spectral", "none"))

    @property
    def smallest_batch(self) -> int:
        """2: G has BatchNorm."""
        return 2

    def generator(self) -> nn.Module:
        """Return a new G."""
        return ResNetGenerator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return ResNetDiscriminator(self)

    def normed(self, layer: nn.Module) -> nn.Module:
        """Return a layer of D with the normalisation that `d_norm` asks for."""
        return spectral_norm(layer) if self.d_norm == "spectral" else layer


@dataclass(frozen=True, kw_only=True)
class ConditionalResNet32(ResNet32):
    """The pair that is told a class: by BatchNorm's scale and shift in G's blocks, by projection in D.

    Attributes:
        classes: how many classes there are; labels are 0 … classes - 1.
    """

    classes: int = 10  # a field here, a constant in Networks

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("classes", self.classes, 2, 10_000)


class UpBlock(nn.Module):
    """(B, width, n, n) to (B, width, 2n, 2n): BatchNorm, ReLU, enlarge, 3x3, twice; beside them 1x1."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            ConditionalBatchNorm(width, classes) if classes else nn.BatchNorm2d(width) for _ in range(2)
        )
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.beside = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Return the block's output for conditions c, or None."""
        h = F.interpolate(_normed(self.norms[0], x, c).relu(), scale_factor=2)
        h = self.second(_normed(self.norms[1], self.first(h), c).relu())
        return h + self.beside(F.interpolate(x, scale_factor=2))


def _normed(norm: nn.Module, x: Tensor, c: Tensor | None) -> Tensor:
    return norm(x, c) if isinstance(norm, ConditionalBatchNorm) else norm(x)


class ResNetGenerator(nn.Module):
    """G: z (B, latent_dim) and c to pictures (B, channels, 32, 32) in [-1, 1]."""

    def __init__(self, spec: ResNet32) -> None:
        super().__init__()
        width = spec.g_width
        self.start = nn.Sequential(nn.Linear(spec.latent_dim, width * 4 * 4), nn.Unflatten(1, (width, 4, 4)))
        self.blocks = nn.ModuleList(UpBlock(width, spec.classes) for _ in range(3))  # 4 -> 8 -> 16 -> 32
        last = nn.Conv2d(width, spec.sample_shape[0], 3, padding=1)
        self.end = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), last, nn.Tanh())

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return G(z, c)."""
        h = self.start(z)  # (B, width, 4, 4)
        for block in self.blocks:
            h = block(h, c)
        return self.end(h)


class DownBlock(nn.Module):
    """(B, before, n, n) to (B, width, n, n), or half of n: two 3x3 convolutions, beside them 1x1."""

    def __init__(self, spec: ResNet32, before: int, *, halve: bool, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first_block = halve, first
        self.first = spec.normed(nn.Conv2d(before, spec.d_width, 3, padding=1))
        self.second = spec.normed(nn.Conv2d(spec.d_width, spec.d_width, 3, padding=1))
        self.beside = spec.normed(nn.Conv2d(before, spec.d_width, 1)) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output; the first block takes the picture as it is, without a ReLU."""
        h = self.second(self.first(x if self.first_block else x.relu()).relu())
        return self._half(h) + (self.beside(self._half(x)) if self.first_block else self._half(self.beside(x)))

    def _half(self, h: Tensor) -> Tensor:
        return F.avg_pool2d(h, 2) if self.halve else h


class ResNetDiscriminator(nn.Module):
    """D: pictures (B, channels, 32, 32) and c to scores (B,); with classes by projection (Miyato & Koyama 2018)."""

    def __init__(self, spec: ResNet32) -> None:
        super().__init__()
        width = spec.d_width
        self.blocks = nn.Sequential(
            DownBlock(spec, spec.sample_shape[0], halve=True, first=True),  # 32 -> 16
            DownBlock(spec, width, halve=True),  # -> 8
            DownBlock(spec, width, halve=False),
            DownBlock(spec, width, halve=False),
            nn.ReLU(),
        )
        self.score = spec.normed(nn.Linear(width, 1))
        self.embed = spec.normed(LabelEmbedding(spec.classes, width)) if spec.classes else None

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the scores of x, or of the pairs (x, c)."""
        phi = self.blocks(x).sum(dim=(2, 3))  # (B, width)
        score = self.score(phi).squeeze(1)
        return score if self.embed is None else score + (self.embed(c) * phi).sum(dim=1)
