"""Draw a mini set that ships inside the package from the full MNIST or Fashion-MNIST, with a fixed seed.

    python book/tools/make_mini.py digits
    python book/tools/make_mini.py fashion
    python book/tools/make_mini.py faces

Each class keeps the share it has in the full split (largest remainders); within a class the pictures are drawn
at random, and the drawn pictures keep their order. The mini train set comes from the 60,000, the mini test set
from the 10,000, so the two stay apart. Needs the full set (`make data`) and prints the checksum that
`gancourse/datasets/digits.py` or `fashion.py` holds. Faces are drawn, with a seed of their own; this needs the packages
of the extra `faces`.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import sys

import torch

from gancourse import console, runtime
from gancourse.datasets import digits, faces, fashion, idx
from gancourse.errors import UserError

SEED = 0
SETS = {data.name: data for data in (digits.SET, fashion.SET)}


def shares(counts: torch.Tensor, total: int) -> torch.Tensor:
    """Split `total` in proportion to `counts`, whole numbers, largest remainders first."""
    exact = counts.double() * total / counts.sum()
    kept = exact.floor().long()
    most = (exact - kept).argsort(descending=True, stable=True)[: total - int(kept.sum())]
    kept[most] += 1
    return kept


def draw(labels: torch.Tensor, total: int, generator: torch.Generator) -> torch.Tensor:
    """Return the sorted indices of a stratified random draw of `total` items."""
    chosen = []
    for label, count in enumerate(shares(torch.bincount(labels, minlength=10), total).tolist()):
        members = torch.nonzero(labels == label).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return torch.cat(chosen).sort().values


def make(data: idx.IdxSet) -> bytes:
    """Return the mini set's file."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = b""
    for split, total in data.mini_counts.items():
        full = idx.load(data, split)
        if full.source != "full":
            raise UserError("The mini set is drawn from the full one. Run `make data` first.")
        index = draw(full.labels, total, generator)
        drawn += full.images[index].numpy().tobytes() + full.labels[index].to(torch.uint8).numpy().tobytes()
    return compress(drawn)


def make_faces() -> bytes:
    """Return the mini set of faces."""
    factors = faces.sample(sum(faces.MINI_COUNTS.values()), faces.MINI_SEED)
    return compress(faces.pack(faces.draw(factors), factors))


def compress(drawn: bytes) -> bytes:
    """Return a mini set's file."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
    return lzma.compress(drawn, format=lzma.FORMAT_XZ, filters=filters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*SETS, "faces"])
    name = parser.parse_args().name
    path, packed = (faces.MINI_FILE, make_faces()) if name == "faces" else (SETS[name].mini, make(SETS[name]))
    runtime.write_atomic(path, packed)
    print(f"{path.name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    sys.exit(console.entry(main))
