"""Draw the mini set that ships inside the package from the full MNIST, class by class, with a fixed seed.

    python book/tools/make_mini.py

Each class keeps the share it has in the full split (largest remainders); within a class the digits are drawn
at random, and the drawn digits keep their order. The mini train set comes from the 60,000, the mini test set
from the 10,000, so the two stay apart. Needs the full set (`make data`) and prints the checksum that
`gancourse/datasets/digits.py` holds.
"""

from __future__ import annotations

import hashlib
import lzma

import torch

from gancourse import runtime
from gancourse.datasets import digits
from gancourse.errors import UserError

SEED = 0


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


def main() -> None:
    generator = torch.Generator().manual_seed(SEED)
    data = b""
    for split, total in digits.MINI_COUNTS.items():
        full = digits.load(split)
        if full.source != "full":
            raise UserError("The mini set is drawn from the full one. Run `make data` first.")
        index = draw(full.labels, total, generator)
        data += full.images[index].numpy().tobytes() + full.labels[index].to(torch.uint8).numpy().tobytes()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
    packed = lzma.compress(data, format=lzma.FORMAT_XZ, filters=filters)
    runtime.write_atomic(digits.MINI_FILE, packed)
    print(f"{digits.MINI_FILE.name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
