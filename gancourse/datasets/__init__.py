"""Data sets: real ones checked by checksum, and two-dimensional ones with a formula.

The table is plain text so that looking a name up loads no torch. :func:`gancourse.datasets.source.load` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gancourse.errors import unknown


@dataclass(frozen=True)
class DataSet:
    """One row of the table: what the package needs to know of a data set by name.

    Attributes:
        title: in words.
        module: its module in this package, whose ``training(name, shape, device=, seed=, quiet=)`` returns a source.
        shapes: the shapes in which its samples are to be had, (C, H, W) or (2,); the first is its own.
        classes: how many classes its labels name; one number for each of several labels; 0: it has no labels.
        samples: how many samples an evaluation draws.
        measure: how samples are measured, a key of ``gancourse.evaluation.MEASURES``; None: not at all.
    """

    title: str
    module: str
    shapes: tuple[tuple[int, ...], ...]
    classes: int | tuple[int, ...]
    samples: int
    measure: str | None


_PLANE = ((2,),)
_GREY = ((1, 28, 28), (1, 32, 32))
_FACES = ((3, 64, 64), (3, 32, 32))
_PARTS = (12, 5, 5, 3, 3, 3, 4, 6)  # of gancourse.datasets.heads, which is not loaded for a look at this table

TABLE: dict[str, DataSet] = {
    "ring": DataSet("eight Gaussians on a ring", "toy", _PLANE, 8, 2_500, "modes"),
    "grid": DataSet("twenty-five Gaussians on a grid", "toy", _PLANE, 25, 2_500, "modes"),
    "spiral": DataSet("a two-armed spiral", "toy", _PLANE, 0, 2_500, None),
    "moons": DataSet("two half circles", "toy", _PLANE, 0, 2_500, None),
    "lines": DataSet("two parallel segments", "toy", _PLANE, 0, 2_500, None),
    "digits": DataSet("MNIST", "digits", _GREY, 10, 10_000, "digits"),
    "fashion": DataSet("Fashion-MNIST", "fashion", _GREY, 10, 10_000, "fashion"),
    "faces": DataSet("drawn faces", "faces", _FACES, _PARTS, 10_000, "faces"),
    "smiles": DataSet("drawn faces that smile", "faces", _FACES, _PARTS, 10_000, "smiles"),
    "photos": DataSet("your own pictures", "folders", _FACES, 0, 10_000, None),
    "celeba": DataSet("CelebA", "folders", _FACES, 0, 10_000, None),
}
"""Name → row. Points: 2,500 are measured, the protocol of PacGAN's code."""


def get(name: str) -> DataSet:
    """Return the row of a data set.

    Raises:
        UserError: there is no data set of that name; the nearest one is suggested.
    """
    if name not in TABLE:
        raise unknown("data set", name, TABLE)
    return TABLE[name]
