"""Several seeds of one system trained side by side, as a batch dimension of its networks.

A step of small networks spends most of its time on overhead. Ten seeds in one tensor share it. Nothing else is
shared: every seed keeps its own weights, BatchNorm statistics, optimiser state, noise and data order, and comes out
as if it had been trained alone (``tests/test_seeds.py`` compares them).

A member's linear map acts on (B, in); stacked, W is (S, in, out) and x is (S, B, in), and S counts the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gancourse import runtime
from gancourse.datasets.source import Batch, Batches
from gancourse.datasets.source import load as load_source
from gancourse.errors import UserError
from gancourse.systems.base import Average, Phase, Recipe
from gancourse.systems.gan import Maxout


class StackedLinear(nn.Module):
    """S affine maps at once: (S, B, in) to (S, B, out)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]).contiguous())
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x W + b for each seed."""
        return torch.baddbmm(self.bias, x, self.weight)


class StackedBatchNorm(nn.Module):
    """S BatchNorm layers at once, (S, B, F) to (S, B, F); each seed has statistics of its own.

    BatchNorm over S · F columns is S BatchNorms over F columns: the columns never meet.
    """

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        first = layers[0]
        self.norm = nn.BatchNorm1d(len(layers) * first.num_features, eps=first.eps, momentum=first.momentum)
        for name, own in self.norm.state_dict().items():
            own.copy_(
                layers[0].state_dict()[name] if own.ndim == 0 else torch.cat([m.state_dict()[name] for m in layers])
            )

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each seed's columns."""
        seeds, batch, features = x.shape
        columns = x.transpose(0, 1).reshape(batch, seeds * features)
        return self.norm(columns).view(batch, seeds, features).transpose(0, 1)


class _Largest(torch.autograd.Function):
    """The maximum over dimension 2 of (S, B, pieces, units), three times as fast backwards as ``amax``.

    The gradient goes to the largest piece. ``amax`` also shares it out among equal ones, which costs a count over
    the whole tensor; two different affine maps are never equal but by chance.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        largest = x.amax(dim=2)
        ctx.save_for_backward(x, largest)
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, largest = ctx.saved_tensors
        return (x == largest.unsqueeze(2)) * gradients[0].unsqueeze(2)


class StackedMaxout(nn.Module):
    """S maxout layers at once: (S, B, in) to (S, B, out)."""

    def __init__(self, layers: Sequence[Maxout]) -> None:
        super().__init__()
        self.linear = StackedLinear([layer.linear for layer in layers])
        self.pieces = layers[0].pieces
        with (
            torch.no_grad()
        ):  # a member's columns run unit by unit; here piece by piece, so that memory is read in order
            for parameter in self.linear.parameters():
                parameter.copy_(parameter.unflatten(2, (-1, self.pieces)).transpose(2, 3).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest of `pieces` affine maps for each unit of each seed."""
        return _Largest.apply(self.linear(x).unflatten(2, (self.pieces, -1)))


def stack(networks: Sequence[nn.Module]) -> nn.Module:
    """Return one network that runs equally built `networks` side by side, on inputs (S, B, in).

    Knows fully connected networks: Linear, BatchNorm1d, Maxout, and layers without parameters or shapes.

    Raises:
        UserError: a layer that has no stacked form here.
    """
    first = networks[0]
    if isinstance(first, nn.Linear) and not nn.utils.parametrize.is_parametrized(first):
        return StackedLinear(networks)  # type: ignore[arg-type]
    if isinstance(first, nn.BatchNorm1d):
        return StackedBatchNorm(networks)  # type: ignore[arg-type]
    if isinstance(first, Maxout):
        return StackedMaxout(networks)  # type: ignore[arg-type]
    if isinstance(first, nn.Sequential):
        children = zip(*(network.children() for network in networks), strict=True)
        return nn.Sequential(*(stack(group) for group in children))
    if isinstance(first, (nn.Flatten, nn.Unflatten)):  # points (B, 2) are flat already
        return nn.Identity()
    if isinstance(first, (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)):
        return first
    raise UserError(
        f"{type(first).__name__} has no stacked form. Train the seeds one by one, or add the layer to "
        "gancourse/systems/seeds.py."
    )


class _Logits(nn.Module):
    """A stacked discriminator, (S, B, in) to logits (S, B)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(2)


class SeedBatches:
    """The batches of several seeds, stacked: `x` is (S, B, 2)."""

    def __init__(self, members: Sequence[Batches]) -> None:
        self.members = members

    def __next__(self) -> Batch:
        return Batch(torch.stack([next(member).x for member in self.members]))


class Seeds:
    """A system of the plane (``ring-gan``, ``grid-gan`` and their relatives), trained for several seeds at once.

    It is itself a system: ``training.training_step(seeds, seeds.batches, step, seeds.parameters)`` makes one step
    of every seed. The sum of the members' losses is descended, so no member sees another's gradient.

    Args:
        recipe: a recipe whose samples are points (2,).
        seeds: one whole number per member; each is what ``training.Run(recipe, seed=…)`` would be given.
        profile: smoke, cpu or gpu; default the one in force.
        changes: hyper-parameters to replace.

    Raises:
        UserError: no seeds, a seed twice, or a recipe whose samples are not points.
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        *,
        profile: str | None = None,
        device: torch.device | None = None,
        **changes: Any,
    ) -> None:
        self.seeds = list(seeds)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"Got seeds {self.seeds}; give at least one, and each only once.")
        self.config = config = recipe.at(profile, **changes)
        if config.sample_shape != (2,):
            raise UserError(f"{recipe.name} makes {config.sample_shape}; seeds are stacked for points (2,) only.")
        self.device = device or runtime.device()
        members, batches, self.noises = [], [], []
        for seed in self.seeds:  # exactly what training.Run does for one seed
            runtime.seed_everything(seed)
            source = load_source(config.data, device=self.device, seed=seed, quiet=True)
            members.append(recipe.build(config, self.device))
            batches.append(Batches(source, config.batch_size, seed))
            self.noises.append(torch.Generator(self.device))
            state = torch.get_rng_state() if self.device.type == "cpu" else torch.cuda.get_rng_state(self.device)
            self.noises[-1].set_state(state)
        self.batches = SeedBatches(batches)
        self.system = system = members[0]
        system.G = stack([member.G.layers for member in members]).train()
        system.D = _Logits(stack([member.D.layers for member in members])).train()
        system.noise = self.noise
        self.networks: dict[str, nn.Module] = {"G": system.G, "D": system.D}
        self.parameters = [p for network in self.networks.values() for p in network.parameters()]
        self.average = system.average = Average(system.G, config.averaging)
        self.phases = [self._stacked(phase) for phase in system.phases]

    def _stacked(self, phase: Phase) -> Phase:
        optimizer = phase.optimizer
        network = self.networks["D" if phase.name == "d" else "G"]
        again = type(optimizer)(network.parameters(), **optimizer.defaults)
        loss = phase.loss
        # A loss is a mean over all S · B samples; S times it is the sum of the members' own losses.
        return Phase(
            phase.name,
            lambda batch: len(self.seeds) * loss(batch),
            again,
            phase.repeat,
            phase.every,
            phase.after,
            phase.uses_data,
        )

    def noise(self, n: int) -> Tensor:
        """Return z ~ N(0, I), (S, batch_size, latent_dim), each member's from a generator of its own."""
        size = (self.config.batch_size, self.config.latent_dim)
        return torch.stack([torch.randn(size, generator=g, device=self.device) for g in self.noises])

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0, averaged: bool = True) -> Tensor:
        """Return n samples of every member, (S, n, 2): of the averaged generators, or of the present ones.

        All members get the same z, drawn on the CPU with `seed`; BatchNorm uses its running statistics.
        """
        z = torch.randn(n, self.config.latent_dim, generator=torch.Generator().manual_seed(seed)).to(self.device)
        network = self.average.module if averaged else self.system.G
        was_training = network.training
        network.eval()
        points = network(z.expand(len(self.seeds), -1, -1))
        network.train(was_training)
        return points

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on later."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": [phase.optimizer.state_dict() for phase in self.phases],
            "average": self.average.state_dict(),
            "batches": [member.state_dict() for member in self.batches.members],
            "noises": [generator.get_state() for generator in self.noises],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state_dict` returned."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for phase, saved in zip(self.phases, state["optimizers"], strict=True):
            phase.optimizer.load_state_dict(saved)
        self.average.load_state_dict(state["average"])
        for member, saved in zip(self.batches.members, state["batches"], strict=True):
            member.load_state_dict(saved)
        for generator, saved in zip(self.noises, state["noises"], strict=True):
            generator.set_state(saved)
