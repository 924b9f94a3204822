"""DCGAN: Radford et al. 2016, "Unsupervised representation learning with deep convolutional GANs".

https://arxiv.org/abs/1511.06434. The game is the GAN's; what is new is the pair of networks, by the rules of section 3:

- strides in place of pooling: D halves its maps with strided convolutions, G doubles them with transposed ones;
- BatchNorm in both, but not at G's output nor at D's first layer (nor at D's score);
- no hidden fully connected layer;
- ReLU in G with tanh at its end, LeakyReLU of slope 0.2 in D.

Section 4 adds the start, weights from N(0, 0.02), and Adam at 2e-4 with β₁ = 0.5. Each rule is a field here, so that
each can be broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancourse.datasets.source import Batch
from gancourse.errors import UserError, check_switch, check_whole, unknown
from gancourse.networks import ACTIVATIONS, OUTPUTS, Networks
from gancourse.systems import gan
from gancourse.systems.configs import Recipe, change

SIZES = (8, 16, 32, 64, 128)
"""Pixels: 4, doubled at least once."""
CHOICES: dict[str, tuple[str, ...]] = {
    "g_norm": ("batch", "batch-everywhere", "none"),
    "d_norm": ("batch", "batch-everywhere", "spectral", "none"),
    "g_first_norm": ("channel", "unit"),
    "g_upsample": ("transposed", "nearest"),
    "d_downsample": ("strided", "average", "max"),
    "g_activation": tuple(ACTIVATIONS),
    "d_activation": tuple(ACTIVATIONS),
    "output": tuple(OUTPUTS),
    "init": ("normal", "torch"),
}


@dataclass(frozen=True, kw_only=True)
class DCGANNets(Networks):
    """The convolutional pair. With its standard values it is the usual port for pictures of 64 px.

    Attributes:
        sample_shape: (channels, size, size); the size is 8, 16, 32, 64 or 128 pixels.
        g_width: feature maps of G at half the size of the picture; each halving towards 4 x 4 doubles them.
        d_width: feature maps of D after its first layer; each further layer doubles them.
        kernel: side of the kernels, 2 to 6. Odd ones overlap unevenly (checkerboards); the authors' is 5.
        g_norm: BatchNorm in G: "batch" (all but the output), "batch-everywhere" (the output too) or "none".
        d_norm: BatchNorm in D: "batch" (all but the first and the score), "batch-everywhere" (the first too) or
            "none"; "spectral" divides every layer by its spectral norm instead (Miyato et al. 2018).
        g_first_norm: at 4 x 4, statistics for each "channel", or for each "unit" as in the authors' code.
        g_upsample: "transposed" convolutions, or the "nearest" pixel twice and a 3 x 3 convolution.
        d_downsample: "strided" convolutions, or 3 x 3 convolutions and pooling by "average" or "max".
        dense: width of a hidden fully connected layer in both networks; 0: none, as the rule says.
        g_activation, d_activation: "relu", "leaky_relu" (slope 0.2) or "gelu".
        output: last activation of G; its range must be the data's.
        init: "normal", see :func:`initialise`, or "torch", PyTorch's own.
    """

    sample_shape: tuple[int, ...] = (3, 64, 64)
    latent_dim: int = 100
    g_width: int = 64
    d_width: int = 64
    kernel: int = 4
    g_norm: str = "batch"
    d_norm: str = "batch"
    g_first_norm: str = "channel"
    g_upsample: str = "transposed"
    d_downsample: str = "strided"
    dense: int = 0
    g_activation: str = "relu"
    d_activation: str = "leaky_relu"
    output: str = "tanh"
    init: str = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = self.sample_shape
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIZES:
            channels = shape[0] if len(shape) == 3 else 3
            nearest = min(SIZES, key=lambda size: (abs(size - shape[-1]), -size))
            raise UserError(
                f"sample_shape={[*shape]}: these networks double a map of 4 x 4 until it is the picture, so pictures "
                f"are square with {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels. Give the data in such a "
                f"size, for example sample_shape={[channels, nearest, nearest]} (digits come in 32 too)."
            )
        for name, low, high in (("g_width", 1, 1024), ("d_width", 1, 1024), ("kernel", 2, 6), ("dense", 0, 16384)):
            check_whole(name, getattr(self, name), low, high)
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise unknown(name, str(getattr(self, name)), options)

    @property
    def smallest_batch(self) -> int:
        """2 with BatchNorm in either network."""
        return 2 if "batch" in self.g_norm + self.d_norm else 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Factors of the width from 4 x 4 on: (8, 4, 2, 1) for 64 px."""
        return tuple(2**k for k in reversed(range(self.sample_shape[1].bit_length() - 3)))

    def generator(self) -> nn.Module:
        """Return a new G."""
        return Generator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return Discriminator(self)

    def up(self, before: int, after: int, *, bias: bool) -> list[nn.Module]:
        """Return the layers that double a map, (B, before, n, n) to (B, after, 2n, 2n)."""
        if self.g_upsample == "nearest":
            return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=bias)]
        k = self.kernel  # (n - 1) stride - 2 padding + k + output_padding = 2n
        return [nn.ConvTranspose2d(before, after, k, 2, (k - 1) // 2, output_padding=k % 2, bias=bias)]

    def down(self, before: int, after: int, *, bias: bool) -> list[nn.Module]:
        """Return the layers that halve a map, (B, before, 2n, 2n) to (B, after, n, n)."""
        if self.d_downsample == "strided":
            return [nn.Conv2d(before, after, self.kernel, 2, padding=(self.kernel - 1) // 2, bias=bias)]
        pool = nn.AvgPool2d(2) if self.d_downsample == "average" else nn.MaxPool2d(2)
        return [nn.Conv2d(before, after, 3, padding=1, bias=bias), pool]


class Generator(nn.Module):
    """G: noise z of shape (B, latent_dim) to pictures (B, channels, size, size), in [-1, 1] under tanh.

    A hidden layer has no bias where BatchNorm follows, which shifts by itself; the last has none, as in the port.
    """

    def __init__(self, spec: DCGANNets) -> None:
        super().__init__()
        channels, normed = spec.sample_shape[0], spec.g_norm != "none"
        activation = ACTIVATIONS[spec.g_activation]
        layers: list[nn.Module] = []
        before = spec.latent_dim
        if spec.dense:
            layers += [nn.Linear(before, spec.dense), activation()]
            before = spec.dense
        width = spec.g_width * spec.widths[0]
        layers += [nn.Unflatten(1, (before, 1, 1)), nn.ConvTranspose2d(before, width, 4, bias=not normed)]
        if normed and spec.g_first_norm == "unit":  # (B, width, 4, 4), as 16 width numbers
            layers += [nn.Flatten(), nn.BatchNorm1d(16 * width), nn.Unflatten(1, (width, 4, 4))]
        elif normed:
            layers.append(nn.BatchNorm2d(width))
        layers.append(activation())
        for factor in spec.widths[1:]:
            after = spec.g_width * factor
            layers += spec.up(width, after, bias=not normed)
            layers += [nn.BatchNorm2d(after)] if normed else []
            layers.append(activation())
            width = after
        layers += spec.up(width, channels, bias=False)
        layers += [nn.BatchNorm2d(channels)] if spec.g_norm == "batch-everywhere" else []
        layers.append(OUTPUTS[spec.output]())
        self.layers = nn.Sequential(*layers)
        if spec.init == "normal":
            initialise(self)

    def forward(self, z: Tensor, c: None = None) -> Tensor:
        """Return G(z)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """D: pictures (B, channels, size, size) to scores (B,), its raw output.

    With BatchNorm, the score of a picture depends on the others in its batch as long as D is in training mode.
    """

    def __init__(self, spec: DCGANNets) -> None:
        super().__init__()
        activation = ACTIVATIONS[spec.d_activation]
        layers: list[nn.Module] = []
        width, bias = spec.sample_shape[0], "batch" not in spec.d_norm
        for factor in reversed(spec.widths):  # size/2, …, 4
            after, first = spec.d_width * factor, factor == 1
            layers += spec.down(width, after, bias=bias)
            if spec.d_norm == "batch-everywhere" or (spec.d_norm == "batch" and not first):
                layers.append(nn.BatchNorm2d(after))
            layers.append(activation())
            width = after
        if spec.dense:
            layers += [nn.Flatten(), nn.Linear(16 * width, spec.dense), activation()]
            layers.append(nn.Linear(spec.dense, 1, bias=False))
        else:
            layers += [nn.Conv2d(width, 1, 4, bias=False), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        if spec.init == "normal":
            initialise(self)
        if spec.d_norm == "spectral":
            for layer in self.layers:
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    spectral_norm(layer)

    def forward(self, x: Tensor, c: None = None) -> Tensor:
        """Return the scores of x."""
        return self.layers(x).squeeze(1)


@torch.no_grad()
def initialise(network: nn.Module, std: float = 0.02) -> nn.Module:
    """Draw the weights anew, in place: N(0, std); BatchNorm's scale from N(1, std); every bias 0. Return the network.

    Section 4 of the paper gives N(0, 0.02) for all weights; that BatchNorm's scale starts around 1 is in its code.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.weight.normal_(0.0, std)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            module.weight.normal_(1.0, std)
        else:
            continue
        if module.bias is not None:
            module.bias.zero_()
    return network


# ---------------------------------------------------------------------------------------------------- the game


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(gan.GANConfig):
    """The GAN's game, with what the programs of DCGAN do differently from each other.

    Attributes:
        d_batches: D sees data and fakes "apart", in a batch each, or "together", in one. With BatchNorm in D these are
            two different discriminators.
        share_fakes: G moves by the fakes that D was just shown, as in the usual port: they are made once a step. False
            makes others for G, as in algorithm 1 of Goodfellow et al. 2014.
    """

    batch_size: int = 64
    channels_last: bool = True
    d_batches: str = "apart"
    share_fakes: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_batches not in ("apart", "together"):
            raise unknown("d_batches", str(self.d_batches), ("apart", "together"))
        check_switch("share_fakes", self.share_fakes)


class DCGAN(gan.GAN):
    """The GAN's game between convolutional networks: D on data and fakes, then G on these fakes or on others."""

    config: DCGANConfig

    def __init__(self, config: DCGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self._shown: tuple[Tensor, Tensor | None] | None = None

    def d_phase(self, batch: Batch) -> Tensor:
        """Return D's loss on a batch and on as many fakes; G's graph of them is kept if G is to move by them."""
        if not self.config.share_fakes:
            return super().d_phase(batch)
        c = self.given(batch)
        self.G.requires_grad_(True)  # D's loss sees the fakes cut off: it gives G no gradient
        fake = self.G(self.noise(self.count(batch.x)), c)  # (B, *sample_shape)
        self._shown = fake, c
        return self.d_loss(batch.x, fake.detach(), c)

    def g_phase(self, batch: None) -> Tensor:
        """Return G's loss on the fakes that D was shown last, or on fakes of its own."""
        if self._shown is None:
            return super().g_phase(batch)
        (fake, c), self._shown = self._shown, None
        return self.g_loss(fake, c)

    def judge(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return D's scores (B,) of data and of fakes, seen apart or together."""
        if self.config.d_batches == "apart":
            return super().judge(x, fake, c)
        real_logits, fake_logits = self.D(torch.cat([x, fake])).split([len(x), len(fake)])
        return real_logits, fake_logits


# ---------------------------------------------------------------------------------------------- recipes

build = DCGAN
PAPER_SOURCE = (
    "for 64 px; the usual port is that of https://github.com/soumith/dcgan.torch, and the authors' own code is faces/ "
    "of https://github.com/Newmu/dcgan_code (the paper prints no parameter counts)"
)


def port() -> DCGANNets:
    """Return the usual port: 4 x 4 kernels, 64 feature maps; G 3,576,704 and D 2,765,568 parameters."""
    return DCGANNets()


def authors() -> DCGANNets:
    """Return the authors' own networks: 5 x 5 kernels, 128 feature maps; G 18,885,760 and D 17,232,768 parameters."""
    return DCGANNets(g_width=128, d_width=128, kernel=5, g_first_norm="unit")


def paper() -> dict[str, nn.Module]:
    """Return both pairs that are called DCGAN: the usual port's, and the authors' own."""
    return {
        "G, usual port": port().generator(),
        "D, usual port": port().discriminator(),
        "G, authors' own code": authors().generator(),
        "D, authors' own code": authors().discriminator(),
    }


_GAME = {"batch_size": 64, "log_every": 50, "sample_every": 500, "checkpoint_every": 500}
_SMOKE = {
    "steps": 12,
    "batch_size": 16,
    "g_width": 8,
    "d_width": 8,
    "log_every": 4,
    "sample_every": 6,
    "checkpoint_every": 4,
}
_UNTIMED = {"smoke": "a few seconds", "gpu": "not measured on a GPU yet"}

_DIGITS = DCGANConfig(
    networks=DCGANNets(sample_shape=(1, 32, 32), latent_dim=64, g_width=32, d_width=32),
    data="digits",
    steps=30_000,
    **_GAME,  # type: ignore[arg-type]
)
_FACES32 = DCGANConfig(
    networks=DCGANNets(sample_shape=(3, 32, 32), latent_dim=64, g_width=48, d_width=48),
    data="faces",
    steps=20_000,
    g_lr=4e-4,  # twice the paper's: the best of eight settings, one short run each, by the training statistics
    d_lr=4e-4,
    lr_decay_from=0.5,  # in a run whose rate stayed, the averaged G was far worse than the present one
    **_GAME,  # type: ignore[arg-type]
)
_FACES64 = change(_FACES32, networks=port(), batch_size=128, g_lr=2e-4, d_lr=2e-4)

RECIPES = {
    "digits-dcgan": Recipe(
        config=_DIGITS,
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 9_000}, "gpu": {}},
        minutes={**_UNTIMED, "cpu": "about 5 minutes on two cores"},
        band={"cpu": "digit-FID at most 0.3 % of uniform noise's, all ten classes (full set)"},
    ),
    "faces32-dcgan": Recipe(
        config=_FACES32,
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 4_500}, "gpu": {"steps": 40_000}},
        minutes={**_UNTIMED, "cpu": "about 5 minutes on two cores"},
        band={
            "cpu": "face-FID at most 8 % of uniform noise's",
            "gpu": "face-FID at most 5 % of uniform noise's",
        },
    ),
    "faces32-smile": Recipe(
        config=change(_FACES32, data="smiles"),
        build=build,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 4_500}, "gpu": {}},
        minutes={**_UNTIMED, "cpu": "about 5 minutes on two cores"},
        band={"cpu": "face-FID to smiling heads at most 10 % of uniform noise's"},
    ),
    "faces64-dcgan": Recipe(
        config=_FACES64,
        build=build,
        profiles={
            "smoke": _SMOKE,
            "cpu": {
                "steps": 2_500,
                "batch_size": 64,
                "g_lr": 4e-4,
                "d_lr": 4e-4,
                "latent_dim": 64,
                "g_width": 24,
                "d_width": 24,
            },
            "gpu": {},
        },
        minutes={**_UNTIMED, "cpu": "about 5 minutes on two cores"},
        band={"cpu": "face-FID at most 20 % of uniform noise's"},
    ),
}
