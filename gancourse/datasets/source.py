"""What the training loop draws from: one data set by name, held on the device, handed out in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gancourse.datasets import toy
from gancourse.errors import UserError, unknown

IMAGE_SETS = ("digits", "fashion")
TOY_POINTS = 100_000
"""How many training points of a 2-D distribution are drawn (protocol of PacGAN's code)."""


class Batch(NamedTuple):
    """One minibatch: `x` float, images (B, C, H, W) in [-1, 1] or points (B, 2); `c` int64 (B,) labels or None."""

    x: Tensor
    c: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A data set on the device.

    Attributes:
        name: "digits", "fashion", "ring", …
        origin: where it came from, in a word ("full", "mini", or "formula"); part of a run's identity.
        x: uint8 images (N, H, W, C), or float points (N, 2).
        c: labels int64 (N,), or None.
    """

    name: str
    origin: str
    x: Tensor
    c: Tensor | None = None


def load(name: str, *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return the training data called `name` on `device`; points of a formula are drawn with `seed`.

    The label of a point of a mixture is its mode; curves have no labels.

    Raises:
        UserError: there is no data set of that name, or its files are damaged.
    """
    if name in toy.DISTRIBUTIONS:
        generator = torch.Generator().manual_seed(seed)
        distribution = toy.get(name)
        if isinstance(distribution, toy.Mixture):
            points, modes = distribution.sample_with_modes(TOY_POINTS, generator)
            return Source(name, "formula", points.to(device), modes.to(device))
        return Source(name, "formula", distribution.sample(TOY_POINTS, generator).to(device))
    if name in IMAGE_SETS:
        from gancourse.datasets import digits, fashion

        train = {"digits": digits, "fashion": fashion}[name].load("train", device=device, quiet=quiet)
        return Source(name, train.source, train.images, train.labels)
    raise unknown("data set", name, [*toy.DISTRIBUTIONS, *IMAGE_SETS])


class Batches:
    """Endless shuffled minibatches of a source: every epoch is a new permutation, a last partial batch is dropped.

    Its position is two things, the generator's state at the start of the epoch and the offset within it, so a
    resumed run draws the very batches that the unbroken one would have drawn.
    """

    def __init__(self, source: Source, batch_size: int, seed: int) -> None:
        if not 1 <= batch_size <= len(source.x):
            raise UserError(
                f"batch_size={batch_size} does not fit {source.name!r} with {len(source.x)} samples; "
                f"choose 1 to {len(source.x)}."
            )
        self.source = source
        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.epoch_state = self.generator.get_state()
        order = torch.randperm(len(self.source.x), generator=self.generator)
        self.order = order.to(self.source.x.device)
        self.offset = 0

    def __next__(self) -> Batch:
        if self.offset + self.batch_size > len(self.order):
            self._start_epoch()
        index = self.order[self.offset : self.offset + self.batch_size]
        self.offset += self.batch_size
        x = self.source.x[index]
        if x.dtype == torch.uint8:
            from gancourse import images

            x = images.to_float(x)
        return Batch(x, None if self.source.c is None else self.source.c[index])

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the data."""
        return {"epoch_state": self.epoch_state, "offset": self.offset}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that :meth:`state_dict` returned."""
        self.generator.set_state(state["epoch_state"])
        self._start_epoch()
        self.offset = int(state["offset"])
