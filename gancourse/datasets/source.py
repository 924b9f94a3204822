"""What the training loop draws from: one data set by name, held on the device, handed out in batches."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gancourse import datasets, images
from gancourse.errors import UserError

APART = 0x9E3779B9
"""Between the seeds of x and y. On the CPU torch keeps 32 bits of a seed: 2**32 more would be the same seed again."""


class Batch(NamedTuple):
    """One minibatch: samples `x`, their labels `c`, and `y`, samples of a second domain.

    `x` is float, images (B, C, H, W) in [-1, 1] or points (B, 2), and `y` likewise, or None where there is one domain.
    `c` is int64 (B,), or several labels or factors of each sample (B, K), or None.
    """

    x: Tensor
    c: Tensor | None = None
    y: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A data set on the device.

    Attributes:
        name: "digits", "fashion", "faces", "ring", …
        origin: where it came from, in a word ("full", "mini", or "formula"); part of a run's identity.
        x: uint8 images (N, H, W, C), or float points (N, 2).
        c: labels int64 (N,), several labels or factors (N, K), or None.
        y: a second domain (M, …), or None.
        paired: whether y[i] belongs to x[i], and M = N; otherwise x and y are shuffled apart.
    """

    name: str
    origin: str
    x: Tensor
    c: Tensor | None = None
    y: Tensor | None = None
    paired: bool = False

    def __post_init__(self) -> None:
        for what, other in (("c", self.c), ("y", self.y if self.paired else None)):
            if other is not None and len(other) != len(self.x):
                raise UserError(f"{self.name!r} has {len(self.x)} samples x and {len(other)} of {what}: give as many.")


def load(
    name: str, *, device: torch.device, shape: tuple[int, ...] | None = None, seed: int = 0, quiet: bool = False
) -> Source:
    """Return the training data called `name` on `device`; points of a formula are drawn with `seed`.

    Args:
        shape: the shape of one sample that is wanted, (1, 32, 32) or (2,); None: the data's own.

    Raises:
        UserError: there is no data set of that name or of that shape, or its files are damaged.
    """
    row = datasets.get(name)
    shape = shape or row.shapes[0]
    if shape not in row.shapes:
        raise UserError(
            f"{name!r} ({row.title}) comes in the shape {' or '.join(map(str, row.shapes))}, and the networks make "
            f"{shape}. Set sample_shape, or choose other data."
        )
    module = importlib.import_module(f"gancourse.datasets.{row.module}")
    return module.training(name, shape, device=device, seed=seed, quiet=quiet)


class Epochs:
    """Endless index batches: every epoch is a new permutation, a last partial batch is dropped.

    Its position is two things, the generator's state at the start of the epoch and the offset within it, so a resumed
    run draws the very batches that the unbroken one would have drawn.
    """

    def __init__(self, length: int, batch_size: int, seed: int, device: torch.device) -> None:
        self.length, self.batch_size, self.device = length, batch_size, device
        self.generator = torch.Generator("cpu").manual_seed(seed)
        self._start()

    def _start(self) -> None:
        self.state = self.generator.get_state()
        self.order = torch.randperm(self.length, generator=self.generator, device="cpu").to(self.device)
        self.offset = 0

    def __next__(self) -> Tensor:
        if self.offset + self.batch_size > self.length:
            self._start()
        index = self.order[self.offset : self.offset + self.batch_size]
        self.offset += self.batch_size
        return index

    def state_dict(self) -> dict[str, Any]:
        """Return the position."""
        return {"epoch_state": self.state, "offset": self.offset}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that :meth:`state_dict` returned."""
        self.generator.set_state(state["epoch_state"])
        self._start()
        self.offset = int(state["offset"])


class Batches:
    """Endless shuffled minibatches of a source; a second domain that is not paired has an order of its own."""

    def __init__(self, source: Source, batch_size: int, seed: int) -> None:
        apart = source.y if not source.paired else None
        smallest = min(len(part) for part in (source.x, apart) if part is not None)
        if not 1 <= batch_size <= smallest:
            raise UserError(
                f"batch_size={batch_size} does not fit {source.name!r} with {smallest} samples; choose 1 to {smallest}."
            )
        self.source = source
        self.batch_size = batch_size
        where = source.x.device
        self.epochs = {"x": Epochs(len(source.x), batch_size, seed, where)}
        if apart is not None:
            self.epochs["y"] = Epochs(len(apart), batch_size, (seed + APART) % 2**32, where)

    def __next__(self) -> Batch:
        source, index = self.source, next(self.epochs["x"])
        other = next(self.epochs["y"]) if "y" in self.epochs else index
        return Batch(
            _floats(source.x[index]),
            None if source.c is None else source.c[index],
            None if source.y is None else _floats(source.y[other]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the data."""
        return {name: epochs.state_dict() for name, epochs in self.epochs.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that :meth:`state_dict` returned."""
        for name, epochs in self.epochs.items():
            epochs.load_state_dict(state[name])


def _floats(x: Tensor) -> Tensor:
    return images.to_float(x) if x.dtype == torch.uint8 else x
