"""Several seeds of one system trained side by side, as a batch dimension of its networks.

A step of small networks spends most of its time on overhead. Ten seeds in one tensor share it. Nothing else is
shared: every seed keeps its own weights, BatchNorm statistics, optimiser state, noise and data order, and comes out
as if it had been trained alone (``tests/test_seeds.py`` compares them).

A network is stacked layer by layer where every layer has a stacked form here: a member's linear map acts on (B, in);
stacked, W is (S, in, out) and x is (S, B, in), and S counts the seeds. Other networks are mapped as they are by
``torch.func.vmap``, which pays from five seeds on. The map is over the networks and never over the loss, whose penalty
may ask for gradients of its own. Losses see scores (S, B) and take means, so S times a loss is the sum of the members'
losses, as long as no member's loss looks at another's scores; before the first step this is checked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils.parametrize import is_parametrized

from gancourse import runtime
from gancourse.datasets.source import Batch, Batches
from gancourse.datasets.source import load as load_source
from gancourse.errors import UserError
from gancourse.layers import check_labels, functional_spectral_norms
from gancourse.networks import Discriminator, Generator, Maxout
from gancourse.systems.base import Average, Phase, System
from gancourse.systems.configs import Recipe

FEWEST_MAPPED = 5
"""With fewer seeds, networks without a stacked form train faster one by one (measured on two cores)."""
TOLERANCE = 1e-5
"""How far S times the common loss may be from the sum of the members' losses, relative to it."""

# ------------------------------------------------------------------------------------------------ stacked layers


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
        self.norm.to(first.weight)
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


class StackedGenerator(nn.Module):
    """S generators of points, (S, B, latent_dim) to (S, B, 2)."""

    def __init__(self, networks: Sequence[Generator]) -> None:
        super().__init__()
        self.layers = stack([network.layers for network in networks])

    def forward(self, z: Tensor, c: None = None) -> Tensor:
        """Return G(z) of each seed."""
        return self.layers(z)


class StackedDiscriminator(nn.Module):
    """S discriminators of points, (S, B, 2) to scores (S, B)."""

    def __init__(self, networks: Sequence[Discriminator]) -> None:
        super().__init__()
        self.layers = stack([network.layers for network in networks])

    def forward(self, x: Tensor, c: None = None) -> Tensor:
        """Return the scores of each seed."""
        return self.layers(x).squeeze(2)


def stack(networks: Sequence[nn.Module]) -> nn.Module:
    """Return one network that runs equally built `networks` side by side, on inputs (S, B, in).

    Knows fully connected networks: Linear, BatchNorm1d, Maxout, and layers without parameters or shapes.

    Raises:
        UserError: a layer that has no stacked form here.
    """
    first = networks[0]
    for kind, stacked in STACKED.items():
        if isinstance(first, kind) and not is_parametrized(first):
            return stacked(networks)
    if isinstance(first, nn.Sequential):
        children = zip(*(network.children() for network in networks), strict=True)
        return nn.Sequential(*(stack(group) for group in children))
    if isinstance(first, (nn.Flatten, nn.Unflatten)):  # points (B, 2) are flat already
        return nn.Identity()
    if isinstance(first, (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity)):
        return first
    raise UserError(f"{type(first).__name__} has no stacked form.")


STACKED: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    Maxout: StackedMaxout,
    Generator: StackedGenerator,
    Discriminator: StackedDiscriminator,
}


class Mapped(nn.Module):
    """S equally built networks of any kind, on inputs (S, …): one forward pass, mapped over the parameters.

    Raises:
        UserError: a layer that draws random numbers of its own.
    """

    template: nn.Module

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        for module in networks[0].modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                raise UserError(
                    f"{type(module).__name__} draws random numbers of its own, which the seeds would share."
                )
        networks = [functional_spectral_norms(network) for network in networks]
        self.__dict__["template"] = networks[0]  # its structure; its own tensors are never used
        for name in dict(networks[0].named_parameters()):
            values = torch.stack([network.get_parameter(name).detach() for network in networks])
            self.register_parameter(name.replace(".", "/"), nn.Parameter(values))
        for name in dict(networks[0].named_buffers()):
            values = torch.stack([network.get_buffer(name) for network in networks])
            self.register_buffer(name.replace(".", "/"), values)

    def train(self, mode: bool = True) -> Mapped:
        """Switch the members as well."""
        self.template.train(mode)
        return super().train(mode)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Any:
        """Return each member's output; what is a tensor (B, …) for one is (S, B, …) here."""
        state = {name.replace("/", "."): tensor for name, tensor in (*self.named_parameters(), *self.named_buffers())}
        inputs = (x,) if c is None else (x, c)
        return vmap(lambda tensors, *each: functional_call(self.template, tensors, each))(state, *inputs)


def side_by_side(networks: Sequence[nn.Module], points: bool) -> nn.Module:
    """Return the members' networks as one: stacked if they take points and every layer has a stacked form, else mapped.

    Raises:
        UserError: neither is possible, or there are too few seeds for a map to pay.
    """
    why = f"{type(networks[0]).__name__} takes more than points"
    if points:
        try:
            return stack(networks)
        except UserError as error:
            why = str(error).removesuffix(".")
    if len(networks) < FEWEST_MAPPED:
        raise UserError(
            f"{why}, and mapping the networks pays from {FEWEST_MAPPED} seeds on. Train these {len(networks)} one by "
            "one, or give more seeds."
        )
    return Mapped(networks)


# ------------------------------------------------------------------------------------------------------ the seeds


class SeedBatches:
    """The batches of several seeds, stacked: `x` is (S, B, …), labels are (S, B)."""

    def __init__(self, members: Sequence[Batches]) -> None:
        self.members = members

    def __next__(self) -> Batch:
        parts = [next(member) for member in self.members]
        labelled = parts[0].c is not None
        return Batch(
            torch.stack([part.x for part in parts]),
            torch.stack([part.c for part in parts if part.c is not None]) if labelled else None,
        )


class Seeds:
    """A system trained for several seeds at once; it is itself something that the loop can train.

    ``training.training_step(seeds, seeds.batches, step, seeds.parameters)`` makes one step of every seed. The sum of
    the members' losses is descended, so no member sees another's gradient.

    Args:
        recipe: a recipe whose system draws every random number of a step from `noise`, `conditions` and `uniform`.
        seeds: one whole number per member; each is what ``training.Run(recipe, seed=…)`` would be given.
        profile: smoke, cpu or gpu; default the one in force.
        changes: hyper-parameters to replace.

    Raises:
        UserError: no seeds, a seed twice, networks that cannot be trained side by side, or an objective that couples
            the seeds (an average over all of them, a penalty flattened over all).
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
        if config.compile or config.precision != "float32":
            raise UserError(
                "Seeds side by side run in float32 and not compiled: leave compile and precision as they are."
            )
        self.device = device or runtime.device()
        self.system: Any = recipe.build(config, self.device)
        members, batches, self._generators = [], [], []
        for seed in self.seeds:  # exactly what training.Run does for one seed
            runtime.seed_everything(seed)
            source = load_source(config.data, device=self.device, shape=config.shape, seed=seed, quiet=True)
            members.append(recipe.build(config, self.device))
            batches.append(Batches(source, config.batch_size, seed))
            self._generators.append(runtime.generator_like(self.device))
        self.batches = SeedBatches(batches)
        self._join(members)
        self._check_apart(members)

    def _join(self, members: Sequence[Any]) -> None:
        """Put the members' networks side by side into the common system, with optimisers of their own."""
        system, points = self.system, len(self.config.shape) == 1
        owners = {name: {id(p) for p in network.parameters()} for name, network in system.networks.items()}
        optimizers: dict[torch.optim.Optimizer, torch.optim.Optimizer] = {}
        self.networks = {}
        for name in system.networks:
            self.networks[name] = side_by_side([member.networks[name] for member in members], points).train()
            setattr(system, name, self.networks[name])
        system.networks = self.networks
        for phase in system.phases:
            if phase.optimizer not in optimizers:
                owned = [name for name, ids in owners.items() if ids & phase.owned]
                parts = [self.networks[name] for name in owned]
                if (
                    set().union(*(owners[name] for name in owned)) != phase.owned
                    or len(phase.optimizer.param_groups) > 1
                ):
                    raise UserError(
                        f"Phase {phase.name!r} trains parts of a network, or several groups: train one by one."
                    )
                stacked = [p for part in parts for p in part.parameters()]
                optimizers[phase.optimizer] = type(phase.optimizer)(stacked, **phase.optimizer.defaults)
        self.parameters = [p for network in self.networks.values() for p in network.parameters()]
        self.phases = [replace(p, loss=self._summed(p.loss), optimizer=optimizers[p.optimizer]) for p in system.phases]
        self.average = system.average = Average(system.G, self.config.averaging)
        for draw in ("noise", "conditions", "uniform"):
            setattr(system, draw, self._each(getattr(type(system), draw)))
        if system.spec.classes:
            for batches in self.batches.members:
                check_labels(batches.source.c, system.spec.classes, len(batches.source.x))
            system.given = lambda batch: batch.c.long()  # (S, B)

    def _summed(self, loss: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
        # A loss is a mean over all S · B samples; S times it is the sum of the members' own losses.
        return lambda batch: len(self.seeds) * loss(batch)

    def _each(self, draw: Callable[[Any, int], Tensor | None]) -> Callable[[int], Tensor | None]:
        """Return a draw of random numbers for all members, (S, n, …), each from its own generator."""

        def drawn(n: int) -> Tensor | None:
            parts = []
            for generator in self._generators:
                self.system.random = generator
                parts.append(draw(self.system, n))
            return None if parts[0] is None else torch.stack(parts)  # type: ignore[arg-type]

        return drawn

    def start_step(self, step: int) -> None:
        """Prepare the common system for `step`; the rates that it sets for its optimisers hold for these."""
        self.system.start_step(step)
        for own, common in zip(self.system.phases, self.phases, strict=True):
            common.optimizer.param_groups[0]["lr"] = own.optimizer.param_groups[0]["lr"]

    def _check_apart(self, members: Sequence[System]) -> None:
        """Refuse an objective that couples the seeds, by every phase's loss on data that differ much between seeds.

        What the check draws, and what it changes in the networks, is put back.
        """
        before = copy.deepcopy(self.state_dict())
        for system in (self.system, *members):
            system.start_step(0)
        scales = [1.0 + seed for seed in range(len(members))]
        for own, phase in zip(self.system.phases, self.phases, strict=True):
            batch = _scaled(next(self.batches), scales) if phase.uses_data else None
            drawn = {name: _Tape(getattr(self.system, name)) for name in ("noise", "conditions", "uniform")}
            for name, tape in drawn.items():
                setattr(self.system, name, tape)
            common = float(phase.loss(batch).detach())
            for name, tape in drawn.items():
                setattr(self.system, name, tape.draw)
            total = 0.0
            for k, member in enumerate(members):
                for name, tape in drawn.items():
                    setattr(member, name, tape.replay(k))
                alone = next(p for p in member.phases if p.name == own.name)
                total += float(alone.loss(None if batch is None else _member(batch, k)).detach())
            if not abs(common - total) <= TOLERANCE * max(1.0, abs(total)):
                raise UserError(
                    f"Phase {own.name!r} of {type(self.system).__name__} couples the seeds: its common loss is "
                    f"{common:.6g}, the sum of the members' is {total:.6g}. An average or a penalty goes over all "
                    "seeds, or random numbers come from elsewhere than noise, conditions and uniform. Train one by one."
                )
        self.load_state_dict(before)
        self.system.seen.clear()

    # ------------------------------------------------------------------ samples and states

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0, averaged: bool = True) -> Tensor:
        """Return n samples of every member, (S, n, \\*sample_shape), of the averaged generators or of the present ones.

        All members get the same z, drawn on the CPU with `seed`, and the same labels, drawn uniformly; BatchNorm uses
        its running statistics.
        """
        spec, count = self.system.spec, len(self.seeds)
        z = torch.randn(n, spec.latent_dim, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
        inputs = [z.to(self.device).expand(count, -1, -1)]
        if spec.classes:
            stream = torch.Generator("cpu").manual_seed(seed + 2**32)  # as in LatentSystem.draw
            labels = torch.randint(spec.classes, (n,), generator=stream, device="cpu")
            inputs.append(labels.to(self.device).expand(count, -1))
        network = self.average.module if averaged else self.system.G
        was_training = network.training
        network.eval()
        samples = network(*inputs)
        network.train(was_training)
        return samples

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on later."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": [optimizer.state_dict() for optimizer in _once(self.phases)],
            "average": self.average.state_dict(),
            "batches": [member.state_dict() for member in self.batches.members],
            "noises": [generator.get_state() for generator in self._generators],
            "extra": copy.deepcopy(self.system.extra_state()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state_dict` returned."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for optimizer, saved in zip(_once(self.phases), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average.load_state_dict(state["average"])
        for member, saved in zip(self.batches.members, state["batches"], strict=True):
            member.load_state_dict(saved)
        for generator, saved in zip(self._generators, state["noises"], strict=True):
            generator.set_state(saved)
        if state["extra"]:
            self.system.load_extra_state(copy.deepcopy(state["extra"]))


class _Tape:
    """A draw of random numbers that remembers what it gave, to give each member its part again."""

    def __init__(self, draw: Callable[[int], Tensor | None]) -> None:
        self.draw, self.given = draw, []  # type: ignore[var-annotated]

    def __call__(self, n: int) -> Tensor | None:
        self.given.append(self.draw(n))
        return self.given[-1]

    def replay(self, member: int) -> Callable[[int], Tensor | None]:
        rest = iter(self.given)

        def again(n: int) -> Tensor | None:
            drawn = next(rest)
            return None if drawn is None else drawn[member]

        return again


def _scaled(batch: Batch, scales: Sequence[float]) -> Batch:
    """Return a stacked batch with each member's samples x multiplied by its own factor."""
    factors = torch.tensor(scales, dtype=batch.x.dtype, device=batch.x.device)
    return batch._replace(x=batch.x * factors.view(-1, *[1] * (batch.x.ndim - 1)))


def _member(batch: Batch, k: int) -> Batch:
    return Batch(batch.x[k], None if batch.c is None else batch.c[k])


def _once(phases: Iterable[Phase]) -> list[torch.optim.Optimizer]:
    return list(dict.fromkeys(phase.optimizer for phase in phases))
