"""Toys of systems to come, small enough to be trained, killed and resumed within a second.

Each is written as its file in ``gancourse/systems`` would be: a config, its networks, a system. ``RECIPES`` holds them
with their settings and ``source`` their data. `main` trains one, and can kill its own process on the way:

    cd tests; python -c "import toys; toys.main()" cyclegan FOLDER --kill 19
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancourse import losses, training
from gancourse.datasets.source import Batch, Source
from gancourse.errors import unknown
from gancourse.networks import MLP, Networks
from gancourse.systems.base import Average, Drawn, Phase, Sheet, System
from gancourse.systems.configs import Adversarial, Config, Recipe
from gancourse.systems.gan import GAN, GANConfig

CPU = torch.device("cpu")


def adam(config: Adversarial, lr: float, *networks: nn.Module) -> torch.optim.Optimizer:
    """Return one Adam for several networks."""
    parameters = [p for network in networks for p in network.parameters()]
    return torch.optim.Adam(parameters, lr, betas=(config.beta1, config.beta2))


# ------------------------------------------------------------------------- WGAN-GP: a penalty for each sample


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(Adversarial):
    """Algorithm 1 of Gulrajani et al. 2017."""

    gp_weight: float = 10.0
    k: int = 5
    beta1: float = 0.0
    beta2: float = 0.9


def gradient_penalty(critic, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """Return E[(‖∇ critic(x̂)‖₂ - 1)²] at x̂ = εx + (1 - ε)x̃, with one ε for each sample.

    What lies behind the scores' own dimensions is a sample: the norm is taken over it.
    """
    eps = eps.view(*eps.shape, *[1] * (x.ndim - eps.ndim))
    x_hat = torch.lerp(fake, x, eps).requires_grad_(True)
    scores = critic(x_hat)  # (B,)
    (grad,) = torch.autograd.grad(scores.sum(), x_hat, create_graph=True)
    return (grad.flatten(scores.ndim).norm(dim=-1) - 1).square().mean()


class WGANGP(GAN):
    """The game of the GAN between a critic with a penalty and a generator."""

    config: WGANGPConfig
    notes = ("w_estimate", "penalty")

    def d_loss(self, x: Tensor, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[D(x̃)] - E[D(x)] + λ E[(‖∇D(x̂)‖₂ - 1)²]."""
        distance = self.see("w_estimate", self.D(x, c).mean() - self.D(fake, c).mean())
        eps = self.uniform(self.count(x))
        penalty = self.see("penalty", gradient_penalty(lambda u: self.D(u, c), x, fake, eps))
        return self.config.gp_weight * penalty - distance

    def g_loss(self, fake: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -E[D(x̃)]."""
        return -self.D(fake, c).mean()


# ------------------------------------------------- StyleGAN2: two lazy phases, one of them with a running mean


@dataclass(frozen=True, kw_only=True)
class StyleNets(Networks):
    """A mapping z → w, a synthesis w → picture, and a discriminator."""

    sample_shape: tuple[int, ...] = (1, 8, 8)
    latent_dim: int = 6
    width: int = 8

    def generator(self) -> nn.Module:
        """Return a new G."""
        return StyleGenerator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return Plain(*half(self.sample_shape[0], self.width), *half(self.width, self.width), *score(4 * self.width))


class StyleGenerator(nn.Module):
    """z of shape (B, latent_dim) to w, and w to pictures (B, 1, 8, 8)."""

    def __init__(self, spec: StyleNets) -> None:
        super().__init__()
        n, width = spec.latent_dim, spec.width
        self.mapping = nn.Sequential(nn.Linear(n, n), nn.LeakyReLU(0.2), nn.Linear(n, n))
        self.synthesis = nn.Sequential(
            nn.Linear(n, 4 * width), nn.Unflatten(1, (width, 2, 2)), *double(width, width), *double(width, 1), nn.Tanh()
        )

    def forward(self, z: Tensor, c: None = None) -> Tensor:
        """Return G(z)."""
        return self.synthesis(self.mapping(z))


class Plain(nn.Module):
    """Layers one after another, called with a condition that they have no use for."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, c: None = None) -> Tensor:
        """Return the last layer's output."""
        return self.layers(x)


def half(i: int, o: int) -> list[nn.Module]:
    """Return layers that halve a picture, (B, i, H, W) to (B, o, H/2, W/2)."""
    return [nn.Conv2d(i, o, 4, 2, 1), nn.LeakyReLU(0.2)]


def double(i: int, o: int) -> list[nn.Module]:
    """Return layers that double a picture, (B, i, H, W) to (B, o, 2H, 2W)."""
    return [nn.LeakyReLU(0.2), nn.ConvTranspose2d(i, o, 4, 2, 1)]


def score(size: int) -> list[nn.Module]:
    """Return layers that turn `size` features into scores (B,)."""
    return [nn.Flatten(), nn.Linear(size, 1), nn.Flatten(0)]


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config(GANConfig):
    """Section 3 and appendix B of Karras et al. 2020: lazy regularisation, scaled by its interval."""

    r1_gamma: float = 1.0
    r1_every: int = 16
    path_weight: float = 2.0
    path_every: int = 8
    path_decay: float = 0.1
    beta1: float = 0.0
    beta2: float = 0.99


class StyleGAN2(GAN):
    """The game of the GAN, d · r1 · g · path: each penalty shares its player's optimiser."""

    config: StyleGAN2Config
    notes = (*GAN.notes, "path_length", "path_mean")

    def __init__(self, config: StyleGAN2Config, device: torch.device) -> None:
        super().__init__(config, device)
        d, g = self.phases
        self.path_mean = torch.zeros((), device=device)
        self.phases = [
            d,
            Phase("r1", self.r1, d.optimizer, every=config.r1_every),
            g,
            Phase("path", self.path, g.optimizer, every=config.path_every, uses_data=False),
        ]

    def r1(self, batch: Batch) -> Tensor:
        """Return γ/2 E[‖∇D(x)‖²], times the interval."""
        x = batch.x.requires_grad_(True)
        scores = self.D(x)
        (grad,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
        penalty = grad.flatten(scores.ndim).square().sum(dim=-1).mean()
        return self.config.r1_every * self.config.r1_gamma / 2 * penalty

    def path(self, batch: None) -> Tensor:
        """Return E[(‖Jᵀy‖₂ - a)²], y ~ N(0, I), times the interval; a is the running mean of ‖Jᵀy‖₂."""
        w = self.G.mapping(self.noise(self.config.batch_size // 2))
        x = self.G.synthesis(w)
        y = torch.randn_like(x) / (x.shape[-1] * x.shape[-2]) ** 0.5
        (grad,) = torch.autograd.grad((x * y).sum(), w, create_graph=True)
        length = self.see("path_length", grad.norm(dim=-1))
        self.see("path_mean", self.path_mean.lerp_(length.detach().mean(), self.config.path_decay))
        return self.config.path_every * self.config.path_weight * (length - self.path_mean).square().mean()

    def extra_state(self) -> dict[str, Tensor]:
        """Return the running mean of the path lengths."""
        return {"path_mean": self.path_mean}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Put the running mean back."""
        self.path_mean = state["path_mean"]


# ------------------------------------------------------------- CycleGAN: two generators and two pools of fakes


@dataclass(frozen=True, kw_only=True)
class Translators(Networks):
    """Generators from pictures to pictures, and discriminators of them."""

    sample_shape: tuple[int, ...] = (1, 8, 8)
    width: int = 6

    def generator(self) -> nn.Module:
        """Return a new translator."""
        channels = self.sample_shape[0]
        return Plain(*half(channels, self.width), nn.BatchNorm2d(self.width), *double(self.width, channels), nn.Tanh())

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return Plain(*half(self.sample_shape[0], self.width), *score(16 * self.width))


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(Adversarial):
    """Zhu et al. 2017: L = L_GAN(G, D_Y) + L_GAN(F, D_X) + λ E‖F(G(x)) - x‖₁ + λ E‖G(F(y)) - y‖₁."""

    cycle: float = 10.0
    pool: int = 50


class Pool:
    """The last `size` fakes, single ones: half of what D sees comes from it (section 4 of the paper)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def __call__(self, fakes: Tensor) -> Tensor:
        """Return as many fakes as were given, some of them earlier ones."""
        out = []
        for fake in fakes:
            if len(self.kept) < self.size:
                self.kept.append(fake)
            elif torch.rand(()) < 0.5:
                i = int(torch.randint(self.size, ()))
                fake, self.kept[i] = self.kept[i], fake
            out.append(fake)
        return torch.stack(out)


class CycleGAN(System):
    """G: X → Y and F: Y → X in phase g, then both discriminators on the very fakes of that phase."""

    config: CycleGANConfig
    notes = ("cycle",)

    def __init__(self, config: CycleGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        make = config.networks
        self.G, self.F = make.generator().to(device), make.generator().to(device)
        self.D_X, self.D_Y = make.discriminator().to(device), make.discriminator().to(device)
        self.networks = {"G": self.G, "F": self.F, "D_X": self.D_X, "D_Y": self.D_Y}
        self.average = Average(nn.ModuleDict({"Y": self.G, "X": self.F}), config.averaging)
        self.pools = {"X": Pool(config.pool), "Y": Pool(config.pool)}
        self.phases = [
            Phase("g", self.g_loss, adam(config, config.g_lr, self.G, self.F)),
            Phase("d", self.d_loss, adam(config, config.d_lr, self.D_X, self.D_Y), uses_data=False),
        ]

    def g_loss(self, batch: Batch) -> Tensor:
        """Return both generators' loss; the batch and its fakes are kept for D."""
        x, y = batch.x, batch.y
        fake_y, fake_x = self.G(x), self.F(y)
        fool = losses.least_squares_g_loss(self.D_Y(fake_y)) + losses.least_squares_g_loss(self.D_X(fake_x))
        back = self.see("cycle", (self.F(fake_y) - x).abs().mean() + (self.G(fake_x) - y).abs().mean())
        self.shown = {"X": (x, fake_x.detach()), "Y": (y, fake_y.detach())}
        return fool + self.config.cycle * back

    def d_loss(self, batch: None) -> Tensor:
        """Return both discriminators' loss on the batch that phase g had."""
        (x, fake_x), (y, fake_y) = self.shown["X"], self.shown["Y"]
        by_x = losses.least_squares_d_loss(self.D_X(x), self.D_X(self.pools["X"](fake_x)))
        by_y = losses.least_squares_d_loss(self.D_Y(y), self.D_Y(self.pools["Y"](fake_y)))
        return by_x + by_y

    def extra_state(self) -> dict[str, list[Tensor]]:
        """Return the pools."""
        return {name: pool.kept for name, pool in self.pools.items()}

    def load_extra_state(self, state: dict[str, list[Tensor]]) -> None:
        """Fill the pools again."""
        for name, pool in self.pools.items():
            pool.kept = state[name]

    @torch.no_grad()
    def translate(self, x: Tensor, *, to: str = "Y") -> Tensor:  # type: ignore[override]
        """Return pictures x of the other domain, (n, 1, 8, 8), translated to domain `to`."""
        if to not in self.pools:
            raise unknown("domain", to, self.pools)
        return self.average.module[to](x.to(self.device))

    def draw(self, n: int, *, seed: int = 0, to: str = "Y") -> Drawn:  # type: ignore[override]
        """Draw n translations of new pictures of the other domain."""
        of = bars(n, upright=to == "Y", seed=seed).float().div(127.5).sub(1.0).permute(0, 3, 1, 2)
        return Drawn(self.translate(of, to=to), of=of)

    def sheet(self, *, seed: int = 0) -> Sheet:
        """Return rows of input, output and the way back."""
        there, _, of = self.draw(8, seed=seed)
        return Sheet(torch.stack([of, there, self.translate(there, to="X")], dim=1).flatten(0, 1), 3)


# ------------------------------------------------- VQGAN: an autoencoder at first, a discriminator later


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(Config):
    """Esser et al. 2021. The networks are this system's own: the config has sizes, and no `networks`."""

    codes: int = 16
    width: int = 4
    commitment: float = 0.25
    d_start: int = 20
    d_weight: float = 0.8
    lr: float = 2e-3
    averaging: float = 0.9

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (1, 8, 8)


class Quantizer(nn.Module):
    """The nearest code for each place, with the gradient handed straight through."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(codes, width)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, C, H, W) to codes of that shape; also return ‖sg[z] - e‖² and ‖z - sg[e]‖²."""
        flat = z.movedim(1, -1)  # (B, H, W, C)
        nearest = torch.cdist(flat.flatten(0, -2), self.codes.weight).argmin(dim=1)
        e = self.codes(nearest).view(flat.shape).movedim(-1, 1)
        return z + (e - z).detach(), (z.detach() - e).square().mean(), (z - e.detach()).square().mean()


class VQGAN(System):
    """E, Q and G as one autoencoder; D from step `d_start` on."""

    config: VQGANConfig
    notes = ("reconstruction", "balance")

    def __init__(self, config: VQGANConfig, device: torch.device) -> None:
        super().__init__(config, device)
        width = config.width
        self.E = nn.Sequential(*half(1, width), nn.Conv2d(width, width, 1)).to(device)
        self.Q = Quantizer(config.codes, width).to(device)
        self.G = nn.Sequential(*double(width, 1), nn.Tanh()).to(device)
        self.D = nn.Sequential(*half(1, width), *score(16 * width)).to(device)
        self.networks = {"E": self.E, "Q": self.Q, "G": self.G, "D": self.D}
        self.average = Average(nn.ModuleDict({"E": self.E, "Q": self.Q, "G": self.G}), config.averaging)
        first = [p for network in (self.E, self.Q, self.G) for p in network.parameters()]
        self.phases = [
            Phase("autoencoder", self.autoencode, torch.optim.Adam(first, config.lr)),
            Phase("d", self.d_loss, torch.optim.Adam(self.D.parameters(), config.lr), start=config.d_start),
        ]

    def autoencode(self, batch: Batch) -> Tensor:
        """Return the loss of reconstruction and codes, and D's word as soon as there is a D."""
        z, codebook, commitment = self.Q(self.E(batch.x))
        x_hat = self.G(z)
        reconstruction = self.see("reconstruction", (x_hat - batch.x).abs().mean())
        loss = reconstruction + codebook + self.config.commitment * commitment
        if self.step < self.config.d_start:
            return loss
        adversarial = -self.D(x_hat).mean()
        return loss + self.see("balance", self.balance(reconstruction, adversarial)) * adversarial

    def balance(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """Return D's weight: the ratio of both gradients at G's last weights (equation 7)."""
        last = self.G[-2].weight
        first, second = (
            torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (reconstruction, adversarial)
        )
        return self.config.d_weight * (first / (second + 1e-4)).clamp(0.0, 1e4).detach()

    def d_loss(self, batch: Batch) -> Tensor:
        """Return the hinge loss on a batch and its reconstruction."""
        with torch.no_grad():
            x_hat = self.G(self.Q(self.E(batch.x))[0])
        return (1 - self.D(batch.x)).relu().mean() + (1 + self.D(x_hat)).relu().mean()

    @torch.no_grad()
    def draw(self, n: int, *, seed: int = 0) -> Drawn:  # type: ignore[override]
        """Draw n pictures of random codes (the paper's transformer would choose them)."""
        module = self.average.module
        chance = torch.Generator("cpu").manual_seed(seed)
        chosen = torch.randint(self.config.codes, (n, 4, 4), generator=chance, device="cpu").to(self.device)
        return Drawn(module["G"](module["Q"].codes(chosen).movedim(-1, 1)))

    def sheet(self, *, seed: int = 0) -> Sheet:
        """Return pictures of random codes."""
        return Sheet(self.sample(16, seed=seed), 4)


# ----------------------------------------------------------- ProGAN: networks that grow, all there from step 0


@dataclass(frozen=True, kw_only=True)
class GrowingNets(Networks):
    """Networks for pictures of 4 pixels, with blocks for 8 that are faded in."""

    sample_shape: tuple[int, ...] = (1, 8, 8)
    latent_dim: int = 5
    width: int = 6

    def generator(self) -> nn.Module:
        """Return a new G."""
        return GrowingGenerator(self)

    def discriminator(self) -> nn.Module:
        """Return a new D."""
        return GrowingDiscriminator(self)


class GrowingGenerator(nn.Module):
    """z of shape (B, latent_dim) to pictures (B, 1, 8, 8); `alpha` is the large block's share of them."""

    def __init__(self, spec: GrowingNets) -> None:
        super().__init__()
        width = spec.width
        self.alpha = 0.0
        self.small = nn.Sequential(nn.Linear(spec.latent_dim, 16 * width), nn.Unflatten(1, (width, 4, 4)))
        self.small_to_picture = nn.Conv2d(width, 1, 1)
        self.large = nn.Sequential(*double(width, width), nn.BatchNorm2d(width), nn.LeakyReLU(0.2))
        self.large_to_picture = nn.Conv2d(width, 1, 1)

    def forward(self, z: Tensor, c: None = None) -> Tensor:
        """Return G(z)."""
        h = self.small(z)  # (B, width, 4, 4)
        x = F.interpolate(self.small_to_picture(h), scale_factor=2.0)  # (B, 1, 8, 8)
        if self.alpha > 0:
            x = torch.lerp(x, self.large_to_picture(self.large(h)), self.alpha)
        return x.tanh()


class GrowingDiscriminator(nn.Module):
    """Pictures (B, 1, 8, 8) to scores (B,), the mirror image of the generator."""

    def __init__(self, spec: GrowingNets) -> None:
        super().__init__()
        width = spec.width
        self.alpha = 0.0
        self.large = nn.Sequential(*half(1, width))
        self.small_from_picture = nn.Sequential(nn.Conv2d(1, width, 1), nn.LeakyReLU(0.2))
        self.small = nn.Sequential(*score(16 * width))

    def forward(self, x: Tensor, c: None = None) -> Tensor:
        """Return D(x)."""
        h = self.small_from_picture(F.avg_pool2d(x, 2))  # (B, width, 4, 4)
        if self.alpha > 0:
            h = torch.lerp(h, self.large(x), self.alpha)
        return self.small(h)


@dataclass(frozen=True, kw_only=True)
class ProGANConfig(GANConfig):
    """Karras et al. 2018: so many steps with small pictures, then so many of fading in."""

    small_steps: int = 10
    fade_steps: int = 35


class ProGAN(GAN):
    """The game of the GAN; what the networks are comes from the step."""

    config: ProGANConfig

    def start_step(self, step: int) -> None:
        """Set the share of the large blocks, in the averaged generator too."""
        super().start_step(step)
        alpha = min(1.0, max(0.0, (step - self.config.small_steps) / self.config.fade_steps))
        for network in (self.G, self.D, self.average.module):
            network.alpha = alpha


# ------------------------------------------------------------------------------------------- data and recipes


def bars(n: int, *, upright: bool, seed: int) -> Tensor:
    """Return n pictures of one bar each, uint8 (n, 8, 8, 1)."""
    chance = torch.Generator("cpu").manual_seed(2 * seed + upright)
    place = torch.randint(8, (n,), generator=chance, device="cpu")
    light = torch.randint(100, 256, (n, 1, 1), generator=chance, device="cpu")
    rows = light * F.one_hot(place, 8)[:, None] * torch.ones(1, 8, 1, dtype=torch.int64)  # (n, 8, 8)
    return (rows if upright else rows.mT).to(torch.uint8)[..., None].contiguous()


def points(n: int) -> Tensor:
    """Return n points, float (n, 2)."""
    return torch.randn(n, 2, generator=torch.Generator("cpu").manual_seed(0), device="cpu") + 2.0


def source(name: str) -> Source:
    """Return a recipe's data: two domains of unequal size, points, or pictures."""
    if name == "wgan-gp":
        return Source("points", "formula", points(60))
    if name == "cyclegan":
        return Source("bars", "formula", bars(40, upright=True, seed=0), y=bars(30, upright=False, seed=1))
    return Source("bars", "formula", bars(40, upright=True, seed=0))


SETTINGS = {"steps": 45, "batch_size": 8, "log_every": 7, "sample_every": 50, "checkpoint_every": 6}
"""Rows after 1, 7, 14, 21, 28, 35, 42 and 45 steps; checkpoints after 6, 12, 18, 24, 30, 36, 42 and 45."""
GAME = {**SETTINGS, "g_lr": 2e-3, "d_lr": 2e-3, "averaging": 0.9}
_POINTS = MLP(sample_shape=(2,), latent_dim=3, g_widths=(8, 8), d_widths=(8, 8), output="linear")


def _recipe(system: str, config: Config, build: type[System]) -> Recipe:
    profiles = dict.fromkeys(("smoke", "cpu", "gpu"), {})
    return Recipe(config=config, build=build, profiles=profiles, name=f"toy-{system}", title="a toy", system=system)


RECIPES = {
    "wgan-gp": _recipe("wgan-gp", WGANGPConfig(networks=_POINTS, **GAME), WGANGP),
    "stylegan2": _recipe("stylegan2", StyleGAN2Config(networks=StyleNets(), **GAME), StyleGAN2),
    "cyclegan": _recipe("cyclegan", CycleGANConfig(networks=Translators(), **GAME | {"batch_size": 4}), CycleGAN),
    "vqgan": _recipe("vqgan", VQGANConfig(**SETTINGS), VQGAN),
    "progan": _recipe("progan", ProGANConfig(networks=GrowingNets(), **GAME), ProGAN),
}


def start(name: str, **options) -> training.Run:
    """Return a run of a toy on the CPU; `options` are the run's."""
    return training.Run(RECIPES[name], source=source(name), profile="smoke", device=CPU, **options)


def before_averaging(run: training.Run, step: int, act) -> None:
    """Let `act` happen in the middle of a step: its phases have run, its averaging has not."""
    update = run.system.average.update

    def acting() -> None:
        if run.step == step:
            act()
        update()

    run.system.average.update = acting  # type: ignore[method-assign]


def main() -> None:
    """Train one toy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("folder")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill", type=int, help="end by SIGKILL within this step")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = start(arguments.name, out=arguments.folder, resume=arguments.resume)
    if arguments.kill is not None:
        before_averaging(run, arguments.kill, lambda: os.kill(os.getpid(), signal.SIGKILL))
    run.train()
