"""Fashion-MNIST, from wherever this machine can get it, checked by its checksums every time.

Xiao, Rasul & Vollgraf (2017, arXiv:1708.07747): 60,000 training and 10,000 test pictures of clothes, 28×28, grey,
in ten classes; made to take MNIST's place, down to the names of the files. The sources, in this order:

1. the folder named by ``GANCOURSE_DATA``, or the folder ``data/`` of a source checkout: the four idx files, plain
   or ``.gz``, in ``fashion`` or ``FashionMNIST/raw`` below it (the files beside those folders are MNIST's);
2. Debian's package ``dataset-fashion-mnist``, in ``/usr/share/datasets/fashion-mnist``;
3. torchvision's download, tried once per process for at most 10 seconds and kept in a cache folder
   (``GANCOURSE_CACHE``, else ``~/.cache/gancourse``); never tried when ``CI`` is true;
4. the mini set inside this package: 4,000 + 1,000 of the pictures.

``python -m gancourse.datasets.fashion --out DIR`` fetches the full set into ``DIR/fashion`` once and for all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gancourse.datasets import idx
from gancourse.datasets.idx import Images
from gancourse.datasets.source import Source

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""The name of each label, 0 to 9."""

SET = idx.IdxSet(
    name="fashion",
    title="Fashion-MNIST",
    items="pictures",
    classes=CLASSES,
    images=idx.image_files("f4a8712d7a061bf5bd6d2ca38dc4d50a", "8181f5470baa50b63fa0f6fddb340f0a"),
    labels=idx.label_files("9018921c3c673c538a1fc5bad174d6f9", "15d484375f8d13e6eb1aabb0c3f46965"),
    homes=("fashion", "FashionMNIST/raw"),
    torchvision="FashionMNIST",
    system=(Path("/usr/share/datasets/fashion-mnist"),),
    mini=idx.MINI / "fashion.xz",
    mini_sha256="e59ce3f3cf94ffb116e8fd84ae79ac75dc00bd6619c576fe4b845a85583f870c",
    mini_counts={"train": 4_000, "test": 1_000},
)


def load(split: str = "train", size: int = 28, device: str | torch.device | None = None, quiet: bool = False) -> Images:
    """Return a split of Fashion-MNIST; arguments and errors are those of :func:`gancourse.datasets.digits.load`."""
    return idx.load(SET, split, size, device, quiet)


def training(name: str, shape: tuple[int, ...], *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return the training split for the loop; (1, 32, 32) has a border of background, two pixels wide."""
    return idx.training(SET, shape, device, quiet)


def load_mini(split: str = "train") -> Images:
    """Return the mini set inside the package (28×28, on the CPU), whatever else this machine has."""
    return idx.load_mini(SET, split)


def fetch(out: str | Path) -> str:
    """Put the four idx files into ``fashion`` below the folder `out`; see :func:`gancourse.datasets.digits.fetch`."""
    return idx.fetch(SET, out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the full set into a folder and say how to use it."""
    return idx.main(SET, arguments)


if __name__ == "__main__":
    sys.exit(main())
