"""What every system is made of: phases, an averaged generator, a config, and recipes.

A system owns its networks and an ordered list of phases; ``gancourse.training`` runs them and knows nothing else.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gancourse import runtime
from gancourse.errors import UserError, nearest


@dataclass
class Phase:
    """One kind of update within a training step.

    Attributes:
        name: its word in the log; its loss appears as ``<name>_loss``.
        loss: maps a batch to the scalar that this phase descends.
        optimizer: owns exactly the parameters that this phase may change.
        repeat: how often it runs per step, each time on a fresh batch (k of Algorithm 1).
        every: run it only at every n-th step (lazy regularisation).
        after: called after each update (weight clipping, for example).
        uses_data: False if the loss looks at noise only; then it is called with None and no data is used up.
    """

    name: str
    loss: Callable[[Any], Tensor]
    optimizer: torch.optim.Optimizer
    repeat: int = 1
    every: int = 1
    after: Callable[[], None] | None = None
    uses_data: bool = True

    def __post_init__(self) -> None:
        self.owned = {id(p) for group in self.optimizer.param_groups for p in group["params"]}


class Average:
    """An exponential moving average of a network: the generator one samples from.

    After each step every averaged number a moves to decay·a + (1 - decay)·θ. While few steps have been taken the
    decay is lower, min(decay, (1 + t) / (10 + t)), so that the random start is forgotten. BatchNorm's running
    statistics are averaged with the weights: statistics of other weights would give other pictures.
    Averaging for GANs: Yazıcı et al. 2019, https://arxiv.org/abs/1806.04498.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        source, target = _floating(network), _floating(self.module)
        self._pairs = ([tensor.detach() for tensor in source], target)
        self._counters = [
            (a, b) for a, b in zip(self.module.buffers(), network.buffers(), strict=True) if not a.is_floating_point()
        ]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the network's present state."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        source, target = self._pairs
        torch._foreach_lerp_(target, source, 1.0 - decay)
        for average, current in self._counters:
            average.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged network's state and the number of updates."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = int(state["updates"])


def _floating(network: nn.Module) -> list[Tensor]:
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor.data for tensor in tensors if tensor.is_floating_point()]


class System(Protocol):
    """What the loop needs of a system; see ``gancourse.systems.gan.GAN`` for the shortest one."""

    config: Any
    networks: dict[str, nn.Module]
    phases: list[Phase]
    average: Average
    reading_names: tuple[str, ...]

    def readings(self) -> dict[str, float]:
        """Return further numbers for the log, taken from the step just made."""
        ...

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Return n samples of the averaged generator; one seed gives one set of samples."""
        ...


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hyper-parameters that every system has; each system's own config adds the paper's.

    Attributes:
        data: name of the training data.
        steps: generator updates to make.
        batch_size: samples per update.
        log_every, sample_every, checkpoint_every: distances in steps.
    """

    data: str = "digits"
    steps: int = 1000
    batch_size: int = 64
    log_every: int = 50
    sample_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every"):
            check_whole(name, getattr(self, name), 1, 10**9)


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise a UserError unless `value` is a whole number between `low` and `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"{name}={value!r} is out of range: it is a whole number from {low} to {high}.")


def check_real(name: str, value: object, low: float, high: float) -> None:
    """Raise a UserError unless `value` is a number with `low` ≤ value < `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value < high:
        raise UserError(f"{name}={value!r} is out of range: it is a number from {low:g} to below {high:g}.")


@dataclass(frozen=True)
class Recipe:
    """A system, its data and its hyper-parameters at each of the three profiles.

    Attributes:
        name: ``<data>-<system>``; it also names the reference run.
        title: one line in words.
        system: the system's word.
        config: the hyper-parameters of the gpu profile, unless a profile says otherwise.
        build: makes the system from a config and a device.
        profiles: what each profile changes.
        minutes: expected minutes per profile, as text.
        band: the expected result per profile, as text.
    """

    name: str
    title: str
    system: str
    config: Config
    build: Callable[[Any, torch.device], Any]
    profiles: Mapping[str, Mapping[str, Any]]
    minutes: Mapping[str, str] = field(default_factory=dict)
    band: Mapping[str, str] = field(default_factory=dict)

    def at(self, profile: str | None = None, **changes: Any) -> Any:
        """Return the config at `profile` (default: the one in force) with `changes` on top.

        Raises:
            UserError: a change names no hyper-parameter, or its value is out of range.
        """
        known = {f.name for f in dataclasses.fields(self.config)}
        for key in changes:
            if key not in known:
                raise UserError(
                    f"{self.name} has no hyper-parameter {key!r}.{nearest(key, known)} It has: "
                    f"{', '.join(sorted(known))}."
                )
        settings = {**self.profiles[runtime.profile(profile)], **changes}
        return dataclasses.replace(self.config, **settings)

    def banner(self, profile: str | None = None) -> str:
        """Return device, profile, expected minutes and expected band as a few lines of text."""
        name = runtime.profile(profile)
        return "\n".join(
            [
                f"recipe   {self.name}: {self.title}",
                f"device   {runtime.describe_device(runtime.device())}",
                f"profile  {name}: {self.at(name).steps:,} steps",
                f"expect   {self.minutes.get(name, 'not measured')}",
                f"band     {self.band.get(name, 'not stated for this profile')}",
            ]
        )
