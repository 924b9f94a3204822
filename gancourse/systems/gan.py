"""The first GAN: Goodfellow et al. 2014, "Generative adversarial networks", https://arxiv.org/abs/1406.2661.

min_G max_D V(D, G) = E_{x ~ p_data}[log D(x)] + E_{z ~ p_z}[log(1 - D(G(z)))]        (equation 1)

Here D ends in a logit a, with D(x) = σ(a); G and D are fully connected, as in the paper's MNIST experiment.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancourse import losses
from gancourse.datasets.source import Batch
from gancourse.errors import UserError, unknown
from gancourse.systems.base import Average, Config, Phase, Recipe, check_real, check_whole

ACTIVATIONS = {
    "relu": lambda: nn.ReLU(),
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "gelu": lambda: nn.GELU(),
}
OUTPUTS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}
LOSSES = {"nonsaturating": losses.nonsaturating_loss, "minimax": losses.minimax_loss}
SAMPLES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """Hyper-parameters of the fully connected GAN.

    Attributes:
        sample_shape: shape of one sample, (1, 28, 28) or (2,).
        latent_dim: length of z ~ N(0, I).
        g_widths, d_widths: hidden layer widths of G and D, from input to output.
        g_norm: "batch" or "none", after every hidden layer of G.
        d_norm: "spectral" (every layer of D, Miyato et al. 2018), "spectral-after-first" (all but the first) or "none".
        g_activation, d_activation: "relu", "leaky_relu" (slope 0.2) or "gelu".
        d_pieces: above 1, D's hidden units are maxout units of so many pieces (Goodfellow et al. 2013).
        d_dropout: share of D's hidden units dropped in training.
        output: last activation of G; its range must be the data's.
        loss: the generator's, "nonsaturating" or "minimax".
        k: discriminator updates per generator update (Algorithm 1).
        g_lr, d_lr, beta1, beta2: Adam's (Kingma & Ba 2015).
        averaging: decay of the averaged generator.
    """

    sample_shape: tuple[int, ...] = (1, 28, 28)
    latent_dim: int = 64
    g_widths: tuple[int, ...] = (128, 256, 512)
    d_widths: tuple[int, ...] = (512, 256)
    g_norm: str = "batch"
    d_norm: str = "none"
    g_activation: str = "relu"
    d_activation: str = "leaky_relu"
    d_pieces: int = 1
    d_dropout: float = 0.0
    output: str = "tanh"
    loss: str = "nonsaturating"
    k: int = 1
    g_lr: float = 2e-4
    d_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    averaging: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("k", self.k, 1, 100)
        check_whole("latent_dim", self.latent_dim, 1, 4096)
        check_whole("d_pieces", self.d_pieces, 1, 16)
        for name in ("g_widths", "d_widths"):
            widths = getattr(self, name)
            if not isinstance(widths, tuple) or not widths:
                raise UserError(f"{name}={widths!r} must be a list of layer widths, for example {name}=[256,512].")
            for width in widths:
                check_whole(f"a width in {name}", width, 1, 16384)
        check_real("d_dropout", self.d_dropout, 0.0, 1.0)
        check_real("averaging", self.averaging, 0.0, 1.0)
        check_real("beta1", self.beta1, 0.0, 1.0)
        check_real("beta2", self.beta2, 0.0, 1.0)
        check_real("g_lr", self.g_lr, 0.0, 10.0)
        check_real("d_lr", self.d_lr, 0.0, 10.0)
        for name, options in (
            ("g_norm", ("batch", "none")),
            ("d_norm", ("spectral", "spectral-after-first", "none")),
            ("g_activation", ACTIVATIONS),
            ("d_activation", ACTIVATIONS),
            ("output", OUTPUTS),
            ("loss", LOSSES),
        ):
            if getattr(self, name) not in options:
                raise unknown(name, str(getattr(self, name)), options)
        if self.g_norm == "batch" and self.batch_size < 2:
            raise UserError("BatchNorm needs at least 2 samples in a batch: set batch_size=2 or more, or g_norm=none.")


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

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = config.latent_dim
        for hidden in config.g_widths:
            layers.append(nn.Linear(width, hidden))
            if config.g_norm == "batch":
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(ACTIVATIONS[config.g_activation]())
            width = hidden
        size = int(torch.Size(config.sample_shape).numel())
        layers += [nn.Linear(width, size), OUTPUTS[config.output](), nn.Unflatten(1, config.sample_shape)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Return G(z)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """D: samples (B, \\*sample_shape) to logits (B,). The probability of "from the data" is their sigmoid."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = int(torch.Size(config.sample_shape).numel())
        for i, hidden in enumerate(config.d_widths):
            if config.d_pieces > 1:
                layers[f"maxout{i}"] = Maxout(width, hidden, config.d_pieces)
            else:
                layers[f"linear{i}"] = nn.Linear(width, hidden)
                layers[f"activation{i}"] = ACTIVATIONS[config.d_activation]()
            if config.d_dropout:
                layers[f"dropout{i}"] = nn.Dropout(config.d_dropout)
            width = hidden
        layers["logit"] = nn.Linear(width, 1)
        if config.d_norm != "none":
            linears = [m for top in layers.values() for m in top.modules() if isinstance(m, nn.Linear)]
            for layer in linears[1 if config.d_norm == "spectral-after-first" else 0 :]:
                spectral_norm(layer)
        self.layers = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of x."""
        return self.layers(x).squeeze(1)


class GAN:
    """Algorithm 1 of the paper as two phases: k updates of D, then one of G.

    Other objectives override `d_loss` and `g_loss`, other networks `generator` and `discriminator`; the rest stays.
    """

    reading_names: tuple[str, ...] = ("d_real", "d_fake", "d_fake_after")

    def __init__(self, config: GANConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.G = self.generator().to(device)
        self.D = self.discriminator().to(device)
        self.networks: dict[str, nn.Module] = {"G": self.G, "D": self.D}
        self.average = Average(self.G, config.averaging)
        betas = (config.beta1, config.beta2)
        d_adam = torch.optim.Adam(self.D.parameters(), lr=config.d_lr, betas=betas, fused=device.type != "mps")
        g_adam = torch.optim.Adam(self.G.parameters(), lr=config.g_lr, betas=betas, fused=device.type != "mps")
        self.phases = [
            Phase("d", self.d_loss, d_adam, repeat=config.k),
            Phase("g", self.g_loss, g_adam, uses_data=False),
        ]
        self._seen: dict[str, Tensor] = {}

    def generator(self) -> nn.Module:
        """Return a new generator; the constructor calls this once, before `discriminator`."""
        return Generator(self.config)

    def discriminator(self) -> nn.Module:
        """Return a new discriminator."""
        return Discriminator(self.config)

    def noise(self, n: int) -> Tensor:
        """Return z ~ N(0, I), shape (n, latent_dim)."""
        return torch.randn(n, self.config.latent_dim, device=self.device)

    def d_loss(self, batch: Batch) -> Tensor:
        """Return -E[log D(x)] - E[log(1 - D(G(z)))] for one batch."""
        with torch.no_grad():  # G is not updated here
            fake = self.G(self.noise(len(batch.x)))  # (B, *sample_shape)
        real_logits = self.D(batch.x)  # (B,)
        fake_logits = self.D(fake)  # (B,)
        self._seen |= {"d_real": real_logits, "d_fake": fake_logits}
        return losses.discriminator_loss(real_logits, fake_logits)

    def g_loss(self, batch: None) -> Tensor:
        """Return -E[log D(G(z))], or E[log(1 - D(G(z)))] when the recipe asks for minimax."""
        fake_logits = self.D(self.G(self.noise(self.config.batch_size)))  # (B,)
        self._seen["d_fake_after"] = fake_logits
        return LOSSES[self.config.loss](fake_logits)

    def readings(self) -> dict[str, float]:
        """Return the mean of D on data, on fakes before D's update, and on fakes after it."""
        return {name: float(self._seen[name].detach().sigmoid().mean()) for name in self.reading_names}

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator, (n, \\*sample_shape) on the device.

        The noise is drawn on the CPU, so one seed means the same z everywhere; global random state is untouched.
        """
        check_whole("n", n, 1, 10**7)
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.config.latent_dim, generator=generator)
        network = self.average.module
        return torch.cat([network(part.to(self.device)) for part in z.split(SAMPLES_AT_ONCE)])


# ---------------------------------------------------------------------------------------------- recipes

PAPER = GANConfig(
    latent_dim=100,
    g_widths=(1200, 1200),
    g_norm="none",
    output="sigmoid",
    d_widths=(240, 240),
    d_pieces=5,
    d_dropout=0.5,
    batch_size=100,
    averaging=0.0,
)
"""The networks of the 2014 paper's MNIST experiment: G 2,503,984 and D 1,231,441 parameters."""
PAPER_SOURCE = "the authors' mnist.yaml, https://github.com/goodfeli/adversarial (trained there with SGD and momentum)"
build = GAN

_PLANE = GANConfig(
    data="ring",
    sample_shape=(2,),
    latent_dim=2,
    batch_size=100,
    steps=400_000,
    g_widths=(400, 400, 400, 400),
    d_widths=(200, 200, 200),
    d_pieces=5,
    output="linear",
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
    batch_size=128,
    latent_dim=64,
    g_widths=(128, 256, 512),
    d_widths=(512, 256),
    d_dropout=0.3,
    steps=30_000,
    log_every=100,
    sample_every=1000,
    checkpoint_every=1000,
)

NOTES = {
    "A": replace(
        _DIGITS,
        latent_dim=64,
        batch_size=32,
        g_widths=(64, 128, 256, 512, 1024),
        d_widths=(1024, 512, 256, 128),
        g_norm="none",
        d_activation="relu",
        d_dropout=0.0,
        g_lr=1e-4,
        d_lr=1e-4,
        beta1=0.9,
        averaging=0.0,
    ),
    "B": replace(
        _DIGITS,
        latent_dim=100,
        batch_size=64,
        g_widths=(256, 512, 1024),
        d_widths=(1024, 512, 256),
        g_norm="none",
        d_activation="relu",
        d_dropout=0.0,
        beta1=0.9,
        averaging=0.0,
    ),
    "C": replace(
        _DIGITS,
        latent_dim=64,
        batch_size=100,
        g_widths=(256, 256),
        d_widths=(256, 256),
        g_norm="none",
        d_dropout=0.0,
        beta1=0.9,
        averaging=0.0,
    ),
    "D": replace(
        _DIGITS,
        latent_dim=96,
        batch_size=64,
        g_widths=(256, 512, 1024),
        d_widths=(512, 256, 128, 64, 32),
        d_norm="spectral",
        g_activation="gelu",
        d_activation="gelu",
        d_dropout=0.0,
        output="sigmoid",
        g_lr=1e-4,
        d_lr=1e-4,
        beta1=0.9,
        averaging=0.0,
    ),
}
"""Four small GANs for MNIST as course notes print them, as settings of this one recipe.

Program D's notes give no learning rate and no widths of an unconditional network: it takes 1e-4 and the widths
of the conditional network that the same notes list.
"""


def _plane(name: str, title: str) -> Recipe:
    return Recipe(
        name=name,
        title=title,
        system="gan",
        config=replace(_PLANE, data=name.removesuffix("-gan")),
        build=GAN,
        profiles={"smoke": _SMOKE, "cpu": {"steps": 10_000}, "gpu": {}},
        minutes={"smoke": "a few seconds", "cpu": "about 3 minutes on two cores"},
    )


RECIPES = {
    "ring-gan": _plane("ring-gan", "a GAN on a ring of eight Gaussians"),
    "grid-gan": _plane("grid-gan", "a GAN on a grid of twenty-five Gaussians"),
    "digits-mlp": Recipe(
        name="digits-mlp",
        title="a fully connected GAN on handwritten digits",
        system="gan",
        config=_DIGITS,
        build=GAN,
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
