"""What every system is made of: networks, phases, an averaged generator, and what it draws.

A system owns its networks and an ordered list of phases; ``gancourse.training`` runs them and knows nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gancourse.datasets.source import Batch, Source
from gancourse.errors import UserError, check_seed, check_whole
from gancourse.layers import check_conditions, check_labels
from gancourse.losses import HALF

PICTURES_PER_SHEET, POINTS_PER_SHEET = 64, 2_500
STATISTICS = ("running_mean", "running_var")
"""Buffers that are averaged with the weights; every other buffer is copied."""


@dataclass
class Phase:
    """One kind of update within a training step.

    Attributes:
        name: its word in the log; its loss appears as ``<name>_loss``.
        loss: maps a batch to the scalar that this phase descends.
        optimizer: owns exactly the parameters that this phase may change. Two phases may share one.
        repeat: how often it runs per step, each time on a fresh batch (k of Algorithm 1).
        every: run it only at every n-th step from `start` on (lazy regularisation).
        start: the first step at which it runs (a discriminator that comes late).
        after: called after each update (weight clipping, for example).
        uses_data: False if the loss looks at noise only; then it is called with None and no data is used up.
    """

    name: str
    loss: Callable[[Any], Tensor]
    optimizer: torch.optim.Optimizer
    repeat: int = 1
    every: int = 1
    start: int = 0
    after: Callable[[], None] | None = None
    uses_data: bool = True

    def __post_init__(self) -> None:
        check_whole("repeat", self.repeat, 1, 10**6)
        check_whole("every", self.every, 1, 10**9)
        check_whole("start", self.start, 0, 10**9)

    @property
    def owned(self) -> set[int]:
        """The identities of these parameters, those that joined the optimiser later among them."""
        return {id(p) for p in self.parameters()}

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters that this phase may change."""
        return (p for group in self.optimizer.param_groups for p in group["params"])

    def due(self, step: int) -> bool:
        """Whether the phase runs at `step`, counted from 0."""
        return step >= self.start and (step - self.start) % self.every == 0


class Average:
    """An exponential moving average of a network: the generator one samples from.

    After each step every averaged number a moves to decay·a + (1 - decay)·θ. While few steps have been taken the
    decay is lower, min(decay, (1 + t) / (10 + t)), so that the random start is forgotten. Weights are averaged, and
    BatchNorm's running statistics with them: statistics of other weights would give other pictures. Every other buffer
    (a counter, a constant, a vector of a power iteration) is copied.
    Averaging for GANs: Yazıcı et al. 2019, https://arxiv.org/abs/1806.04498.

    Args:
        network: the network, or a ModuleDict of several generators.
        decay: 0 follows the network, 0.999 averages over about the last thousand steps.

    Attributes:
        fused: whether all tensors move by one call.
    """

    fused = True

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self._network = network
        self._look_up()

    def _look_up(self) -> None:
        """Pair the tensors of the network with those of the average, by name.

        ``network.to(…)`` puts other tensors or other memory in the place of the old; then this is called again.
        """
        own = {name: slots[key] for name, slots, key in _slots(self.module)}
        sources, targets, self._copied, self._held = [], [], [], []
        for name, slots, key in _slots(self._network):
            source, target = slots[key], own[name]
            self._held.append((slots, key, source, source.data_ptr()))
            averaged = isinstance(source, nn.Parameter) or key.endswith(STATISTICS)
            if averaged and source.dtype in HALF:
                raise TypeError(
                    f"{name.lstrip('.')} is {str(source.dtype)[6:]}, too coarse for an average: small steps would be "
                    "rounded away. Keep weights in float32, and compute in half precision under autocast."
                )
            if (target.device, target.dtype, target.stride()) != (source.device, source.dtype, source.stride()):
                target.data = torch.empty_like(source).copy_(target)  # the average moves along
            if averaged:
                sources.append(source)
                targets.append(target)
            else:
                self._copied.append((target, source))
        self._pairs = (sources, targets)

    def _moved(self) -> bool:
        return any(slots[key] is not held or held.data_ptr() != where for slots, key, held, where in self._held)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the network's present state."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        if self._moved():
            self._look_up()
        sources, targets = self._pairs
        if self.fused:
            torch._foreach_lerp_(targets, sources, 1.0 - decay)
        else:
            for target, source in zip(targets, sources, strict=True):
                target.lerp_(source, 1.0 - decay)
        for average, current in self._copied:
            average.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged network's state and the number of updates."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = int(state["updates"])


def _slots(network: nn.Module) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, dictionary and key of every parameter and buffer of a network, shared ones once."""
    seen: set[int] = set()
    for prefix, module in network.named_modules():
        for slots in (module._parameters, module._buffers):
            for key, tensor in slots.items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{prefix}.{key}", slots, key


class Drawn(NamedTuple):
    """What a system gives when asked: samples `x`, the conditions `c` asked for, the inputs `of` that it translated."""

    x: Tensor
    c: Tensor | None = None
    of: Tensor | None = None


class Sheet(NamedTuple):
    """What there is to look at: samples, and how many stand in a row (points: 0)."""

    x: Tensor
    columns: int


class System:
    """A paper: `networks`, `phases` that train them, and `average`, the part that is shipped and drawn from.

    Attributes:
        config: the hyper-parameters.
        networks: every network by its symbol, ``{"G": …, "D": …}``.
        phases: the updates of one step, in their order.
        average: the averaged generator, or a ModuleDict of several.
        notes: the names that :meth:`see` takes: columns of the log, known before the first step.
    """

    config: Any
    networks: dict[str, nn.Module]
    phases: list[Phase]
    average: Average
    notes: tuple[str, ...] = ()

    def __init__(self, config: Any, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.step = 0
        self.seen: dict[str, Tensor] = {}

    # ------------------------------------------------------------------ what the loop asks for

    def start_step(self, step: int) -> None:
        """Prepare for `step`: before each one, before samples are shown, and after building, training and loading.

        What it does is a function of `step` alone (a fading-in, a falling rate), so calling it twice does no harm. A
        network's attribute is set on the averaged network too: that is the one that draws.
        """
        self.step = step

    def extra_state(self) -> dict[str, Any]:
        """Return what resume needs besides networks and optimisers (a pool of fakes, a running mean).

        Tensors, numbers, text and None, in lists, tuples and dictionaries with text for keys.
        """
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`extra_state` returned; its tensors are on the system's device."""
        if state:
            raise NotImplementedError(f"{type(self).__name__} saves {', '.join(state)} and has no load_extra_state.")

    def see(self, name: str, value: Tensor) -> Tensor:
        """Note a value of any shape for the log, a copy cut off from its graph, and hand it on as it is.

        Raises:
            KeyError: the name is not in `notes`: the log has no column for it.
        """
        if name not in self.notes:
            raise KeyError(f"{type(self).__name__}.notes lacks {name!r}: the log has no column for it.")
        self.seen[name] = value.detach().clone()  # it may be a part of a batch, or be changed in place later
        return value

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all networks."""
        return [p for network in self.networks.values() for p in network.parameters()]

    def check_source(self, source: Source) -> None:
        """Refuse data that the networks do not take, before anything is trained or written.

        Raises:
            UserError: samples of another shape, or labels that are missing or out of range.
        """
        wanted, x = self.config.shape, source.x
        shape = (x.shape[3], *x.shape[1:3]) if x.dtype == torch.uint8 and x.ndim == 4 else tuple(x.shape[1:])
        if wanted is not None and shape != tuple(wanted):
            raise UserError(
                f"{source.name!r} has samples of the shape {shape}, and the networks make {tuple(wanted)}. Set "
                "sample_shape, or choose other data."
            )

    # ------------------------------------------------------------------ what people ask for

    def draw(self, n: int, *, seed: int = 0, **asked: Any) -> Drawn:
        """Draw n samples of the averaged generator; one seed gives one set of samples, whatever the device."""
        raise NotImplementedError

    def sample(self, n: int, *, seed: int = 0, **asked: Any) -> Tensor:
        """Return the samples of :meth:`draw` alone, (n, \\*sample_shape) on the device."""
        return self.draw(n, seed=seed, **asked).x

    def sheet(self, *, seed: int = 0) -> Sheet:
        """Return what to look at in the course of training."""
        raise NotImplementedError

    def translate(self, x: Tensor, **asked: Any) -> Tensor:
        """Return samples x, (n, \\*sample_shape), translated; a system that makes samples from noise refuses."""
        raise UserError(f"{type(self).__name__} makes samples from noise: it has nothing to translate. Use draw.")


AT_ONCE, NUMBERS_AT_ONCE = 1_000, 2**20
"""At most so many samples, and so many numbers of samples, leave a generator at a time."""


class LatentSystem(System):
    """A system that makes samples from noise, with or without conditions: `G`, `D`, and what is drawn from them.

    Every random number of a training step comes from `noise`, `conditions` or `uniform`; then several seeds can be
    trained as one network (``gancourse.systems.seeds``).

    Attributes:
        random: the generator of these numbers; None: torch's own.
        d_outputs: what D must return, by name; see ``Networks.d_outputs``.
        conditional: whether the networks must have conditions; None: as they like.
    """

    random: torch.Generator | None = None
    d_outputs: tuple[str, ...] = ("score",)
    conditional: bool | None = None

    def __init__(self, config: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.spec = config.networks
        self._check_networks()
        self.G: nn.Module = self.spec.generator().to(device)
        self.D: nn.Module = self.spec.discriminator().to(device)
        self.networks = {"G": self.G, "D": self.D}
        self._labels_checked = False

    def _check_networks(self) -> None:
        mine, theirs = " and ".join(self.d_outputs), " and ".join(self.spec.d_outputs)
        if self.spec.d_outputs != self.d_outputs:
            raise UserError(
                f"{type(self).__name__} needs a D that returns {mine}, and the D of these networks "
                f"({type(self.spec).__name__}) returns {theirs}. Choose another discriminator, for example with "
                "d_condition=projection, or the system that the discriminator was made for."
            )
        if self.conditional and not self.spec.classes:
            raise UserError(
                f"{type(self).__name__} asks for a class, and these networks ({type(self.spec).__name__}) have no "
                "conditions. Give it conditional networks, such as ConditionalMLP."
            )

    def check_source(self, source: Source) -> None:
        """Refuse samples of another shape; with conditions, labels that are missing or out of range too."""
        super().check_source(source)
        if self.spec.classes:
            try:
                check_labels(source.c, self.spec.classes, len(source.x))
            except UserError as error:
                raise UserError(f"{source.name!r} does not fit {self.spec.classes} classes. {error}") from None

    # ------------------------------------------------------------------ the random numbers of a step

    def count(self, x: Tensor) -> int:
        """Return how many samples a batch holds: the length of the dimension before a sample's own."""
        return x.shape[-1 - len(self.spec.sample_shape)]

    def noise(self, n: int) -> Tensor:
        """Return z ~ N(0, I), (n, latent_dim)."""
        return torch.randn(n, self.spec.latent_dim, device=self.device, generator=self.random)

    def conditions(self, n: int) -> Tensor | None:
        """Return n labels, int64 (n,), every class equally likely; None without conditions."""
        if not self.spec.classes:
            return None
        return torch.randint(self.spec.classes, (n,), device=self.device, generator=self.random)

    def uniform(self, n: int) -> Tensor:
        """Return n numbers, uniform in [0, 1), (n,)."""
        return torch.rand(n, device=self.device, generator=self.random)

    def given(self, batch: Batch) -> Tensor | None:
        """Return the labels of a batch, int64 (B,), or None without conditions.

        The first batch is checked and stands for all: a check waits for the device.
        """
        if not self.spec.classes:
            return None
        if self._labels_checked and batch.c is not None:
            return batch.c.long()
        c = check_labels(batch.c, self.spec.classes, len(batch.x))
        self._labels_checked = True
        return c

    # ------------------------------------------------------------------ samples

    @torch.no_grad()
    def generate(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return samples of the averaged generator for given noise and conditions, on the device.

        Args:
            z: float (n, latent_dim).
            c: labels, int64 (n,), or class weights, float (n, classes); None for a system without conditions.

        Raises:
            UserError: noise or conditions of another shape, or labels out of range.
        """
        check_conditions(z, c, self.spec.latent_dim, self.spec.classes)
        at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // self.spec.size))
        parts: Iterable[tuple[Tensor, ...]]
        parts = zip(*(tensor.to(self.device).split(at_once) for tensor in (z, c) if tensor is not None), strict=True)
        return torch.cat([self.average.module(*part) for part in parts])

    def draw(self, n: int, *, seed: int = 0, c: object = None) -> Drawn:  # type: ignore[override]
        """Draw n samples of the averaged generator.

        Args:
            n: how many.
            seed: fixes noise and labels, the same on every device; global random state is untouched.
            c: the n classes to draw; None draws them uniformly, with `seed`.

        Raises:
            UserError: labels of another type, number or range, or of a system without conditions.
        """
        check_whole("n", n, 1, 10**7)
        seed = check_seed(seed)
        z = torch.randn(n, self.spec.latent_dim, generator=_seeded(seed), device="cpu")
        if not self.spec.classes:
            if c is not None:
                raise UserError(
                    f"This {type(self).__name__} has no conditions: it cannot be asked for classes. A conditional one, "
                    "such as digits-cgan, can."
                )
            return Drawn(self.generate(z))
        stream = _seeded(seed + 2**32)  # torch keeps 32 bits of a seed: the numbers of the noise, read otherwise
        uniform = torch.randint(self.spec.classes, (n,), generator=stream, device="cpu")
        labels = uniform if c is None else check_labels(c, self.spec.classes, n)
        return Drawn(self.generate(z, labels), labels)

    def sheet(self, *, seed: int = 0, columns: int = 10) -> Sheet:
        """Return samples to look at: of one noise; with conditions a row for each class, a column for each noise."""
        seed = check_seed(seed)
        if len(self.spec.sample_shape) == 1:
            return Sheet(self.sample(POINTS_PER_SHEET, seed=seed), 0)
        if not self.spec.classes:
            return Sheet(self.sample(PICTURES_PER_SHEET, seed=seed), 8)
        z = torch.randn(columns, self.spec.latent_dim, generator=_seeded(seed), device="cpu")
        labels = torch.arange(self.spec.classes, device="cpu").repeat_interleave(columns)
        return Sheet(self.generate(z.repeat(self.spec.classes, 1), labels), columns)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)
